"""Hardening: tables of what strangers and accidents bring, and what comes of it."""
