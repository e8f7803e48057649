"""How a password that was made is shown: this once."""

from cli.nouns.documents import Document
from cli.output import out, print_json

__all__ = ["show_account"]


def show_account(made: Document, *, as_json: bool) -> None:
    """Print a ``username`` and its ``password``."""
    if as_json:
        print_json(made)
        return
    out.print(f"user     {made['username']}\npassword {made['password']}", markup=False)
    out.print("(it is stored hashed and not shown again)")
