"""Numbers assignments, so that a pod can tell a new one from one it has, and a dead leader's from the living one's.

The planner makes the whole assignment afresh in every pass and knows no numbers; most passes change nothing.
"""

from collections.abc import Mapping

from shardpod.contract import Assignment


class AssignmentNumbering:
    """Remembers per instance what was last assigned; `n` counts up only when the content changed."""

    def __init__(self, term: int) -> None:
        self._term = term
        self._current: dict[str, Assignment] = {}
        self._last_n: dict[str, int] = {}

    def current(self, instance: str) -> Assignment | None:
        """The numbered assignment in force for `instance`, or None when the plan has none for it."""
        return self._current.get(instance)

    def replace(self, assignments: Mapping[str, Assignment]) -> set[str]:
        """Take the whole plan's assignments (their own term and n are ignored); the instances whose content changed."""
        changed = {instance for instance, wanted in assignments.items() if not self._in_force(instance, wanted)}
        for instance in changed:
            # One dropped from the plan and taken in again goes on counting: within a term no number comes twice.
            self._last_n[instance] = self._last_n.get(instance, 0) + 1
            self._current[instance] = self._numbered(assignments[instance], self._last_n[instance])
        for instance in self._current.keys() - assignments.keys():
            del self._current[instance]
        return changed

    def _in_force(self, instance: str, wanted: Assignment) -> bool:
        current = self._current.get(instance)
        return current is not None and current == self._numbered(wanted, current.n)

    def _numbered(self, assignment: Assignment, n: int) -> Assignment:
        return assignment.model_copy(update={"term": self._term, "n": n})
