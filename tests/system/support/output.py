"""Collects what a process prints, line by line, and reads the JSON lines among it.

The programs in apps/ and the primaries print one JSON object a line, {"event": NAME, ...}; a line
may carry a prefix of the primary in front of its first brace.
"""
import json
import threading


class Output:
    def __init__(self, stream):
        self.lines = []
        self.objects = []
        self._stream = stream
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._collect, daemon=True)
        self._thread.start()

    def text(self):
        with self._lock:
            return "".join(self.lines)

    def select(self, matches):
        """The JSON objects for which matches(object) is true, in the order they came."""
        with self._lock:
            objects = list(self.objects)
        return [one for one in objects if matches(one)]

    def join(self, timeout=5):
        """Waits until every writer has closed the stream."""
        self._thread.join(timeout)

    def _collect(self):
        for line in self._stream:
            parsed = parse_line(line)
            with self._lock:
                self.lines.append(line)
                if parsed is not None:
                    self.objects.append(parsed)
        self._stream.close()


def parse_line(line):
    start = line.find('{"')
    if start < 0:
        return None
    try:
        return json.loads(line[start:])
    except ValueError:
        return None
