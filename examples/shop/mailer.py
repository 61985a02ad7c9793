"""A program that serves no port: it takes work from its standard input."""
import signal
import sys

signal.signal(signal.SIGINT, lambda *_: sys.exit(0))
print("waiting for work", flush=True)
for line in sys.stdin:
    print("mail to", line.strip(), flush=True)
