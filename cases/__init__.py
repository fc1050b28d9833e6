"""Cases: their life, limits, citizens and answers."""
