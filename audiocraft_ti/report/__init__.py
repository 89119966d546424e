"""Score files and run folders as a page to look at and to listen to."""
