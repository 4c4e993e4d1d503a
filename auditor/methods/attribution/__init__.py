"""Attribution by gradients, rectifier rules and class activation maps."""
