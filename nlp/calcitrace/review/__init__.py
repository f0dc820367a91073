"""Chart review: the queue of a run, and the local page on which reviewers decide."""

from calcitrace.review.desk import Desk, check_reader
from calcitrace.review.queue import QueueOptions, check_run, make_queue
from calcitrace.review.server import ReviewServer
from calcitrace.review.shelf import Shelf

__all__ = ["Desk", "QueueOptions", "ReviewServer", "Shelf", "check_reader", "check_run", "make_queue"]
