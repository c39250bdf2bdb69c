"""What an account holds and has made, to the last digit."""
