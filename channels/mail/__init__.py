"""E-mail: mailboxes are fetched, mails are read, ours are sent."""
