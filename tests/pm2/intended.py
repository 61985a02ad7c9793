"""Where Baton differs from pm2 on purpose. Each is really looked for: one that is not there any
more makes its scenario fail."""
import dataclasses


@dataclasses.dataclass(frozen=True)
class Difference:
    scenario: str  # its name in scenarios.py
    name: str      # the end of what is seen there
    pm2: object
    baton: object
    reason: str

    def covers(self, name):
        return name.endswith(self.name)


INTENDED = []
