"""Puts itself in the background, as daemons do: two forks and a session of its own in between. Then
it takes the name `background` and sleeps; told `deaf`, it does not hear any signal but SIGKILL."""
import os
import signal
import sys
import time

if "deaf" in sys.argv:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
if os.fork():
    sys.exit()
os.setsid()
if os.fork():
    sys.exit()
with open("/proc/self/comm", "w", encoding="ascii") as name:
    name.write("background")
time.sleep(1000)
