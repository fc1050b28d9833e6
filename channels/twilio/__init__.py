"""Twilio: SMS both ways, and what its calls tell us. Calls themselves are handled in `hotline/`."""
