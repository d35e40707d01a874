"""What the workers of a run and the command that started them leave for each other."""

from umeta.core.errors import InputError
from umeta.recipes.mailbox import Mailbox


def test_the_mailbox_keeps_the_first_failure_and_passes_on_a_wish_to_stop():
    mailbox = Mailbox()
    assert [mailbox.begin(), mailbox.begin()] == [False, True]
    assert not mailbox.post([("note", "a"), ("stage", "b")])
    assert mailbox.take(True) == [("note", "a"), ("stage", "b")]
    assert mailbox.post([])
    assert mailbox.take(False) == []
    mailbox.end(InputError("first"))
    mailbox.end(InputError("second"))
    assert str(mailbox.failure()) == "first"
