"""Facebook Page: Messenger conversations and comments are read, answers are sent through the Graph API."""
