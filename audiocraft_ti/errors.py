"""The one exception that a user can mend."""


class UserError(Exception):
    """Something the user gave does not fit. The message is one sentence that names the file, key or value and the mend.

    Commands print the message alone and leave with exit status 1.
    """
