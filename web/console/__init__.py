"""The staff's pages: the queue, the case, taking reports in."""
