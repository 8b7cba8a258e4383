"""Runs a training script in a process of its own that gets a signal in the middle of an epoch, at a known step."""
import json
import os
import signal
import subprocess
import sys

# The process sends the signal to itself: a busy machine cannot make it come too late.
CODE = """import json, os, runpy, signal, sys
from gluon_dc.training import stages
script, words, number, saves = json.loads(sys.argv[1])
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in what a shell starts in the background
save, step, saved = stages.save_progress, stages.train_step, []

def save_progress(*arguments):
    save(*arguments)
    saved.append(arguments)

def train_step(*arguments):
    if len(saved) == saves:
        saved.append(None)
        os.kill(os.getpid(), number)
    return step(*arguments)

stages.save_progress, stages.train_step = save_progress, train_step
sys.argv = [script, *words]
runpy.run_path(script, run_name="__main__")
"""


def run_until(kind, script, words, saves, environment=None):
    """Run `script` with these words until it has saved its state so many times, and begins to train on: then it gets
    the signal. Returns its exit status and what it wrote to stderr."""
    given = json.dumps([str(script), [str(word) for word in words], int(signal.Signals(kind)), saves])
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    done = subprocess.run([sys.executable, "-c", CODE, given], capture_output=True, text=True, timeout=240, env={
        **os.environ, **(environment or {}), "OMP_NUM_THREADS": "1", "PYTHONPATH": root})
    return done.returncode, done.stderr
