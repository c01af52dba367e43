"""The one error meant for the person at the keyboard."""


class UserError(Exception):
    """Something the user can put right. Its text is one sentence or two: what was wrong, what is allowed, what to do.

    The command line prints it to stderr without a traceback and exits with code 2.
    """


AT_ONCE = "at once"
"""What the KeyboardInterrupt of a second Ctrl-C carries: nothing was saved."""
