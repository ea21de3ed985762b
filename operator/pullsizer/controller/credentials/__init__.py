"""With what a store is asked: credentials, where an administrator lets us use them, found just as KServe finds them."""

from pullsizer.controller.credentials.finding import Credentials
from pullsizer.controller.credentials.found import Found, endpoint_mark, mark_of
from pullsizer.controller.credentials.reasons import Reason
from pullsizer.controller.credentials.rules import may_use, named_by_secret

__all__ = ["Credentials", "Found", "Reason", "endpoint_mark", "mark_of", "may_use", "named_by_secret"]
