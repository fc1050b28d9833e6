"""Telephone calls, the agents who take them, and campaigns of outbound care calls live here."""
