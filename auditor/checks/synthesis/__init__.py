"""What input maximises each class score?"""
