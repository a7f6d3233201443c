"""What the commands share: the flags for drawing images, and errors in one line."""

import importlib
import logging
import os
import signal
import sys

from absl import app, flags

from keras_gan import InputError
from keras_gan.files import first_line
from keras_gan.run_directory import EXPORTS

flags.disclaim_key_flags()  # --help shows the flags defined here as the command's own


def define_model_flags():
    """Defines the flags that name the model of a run."""
    flags.DEFINE_string("model_dir", None, "A run directory, or the folder of a SavedModel.")
    flags.DEFINE_enum("checkpoint", "last", tuple(EXPORTS), "The last epoch, or the best one.")


def define_drawing_flags(num_images):
    """Defines the flags of a command that draws images from a run, by default `num_images`."""
    define_model_flags()
    most = 2**31 - 1
    flags.DEFINE_integer("num_images", num_images, "How many to draw.", 1, most)
    flags.DEFINE_integer("seed", 0, "The same seed draws the same images.", 0, most)


def start(main, operands=False):
    """Parses the flags and calls `main()`. A user's mistake is one line and exit status 1.

    With `operands`, `main` gets a list of what the command names besides its flags.
    """

    def parse(argv):
        try:
            argv = flags.FLAGS(argv)
            unknown = argv[1:]
        except (flags.Error, ValueError) as error:  # ValueError: --notensorboard=1
            _fail(error)
        if unknown and not operands:
            _fail(f"{unknown[0]}: expected flags only, see --help.")
        for flag in map(flags.FLAGS.__getitem__, flags.FLAGS):
            if isinstance(flag.value, str) and flag.value.startswith("~"):
                flag.value = os.path.expanduser(flag.value)  # no shell does it after a "="
        if not flags.FLAGS["verbosity"].present:
            flags.FLAGS.verbosity = -1  # warnings: TensorFlow logs each file it saves
        return argv

    def run(argv):
        try:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it
                    signal.signal(number, _interrupt)
            main(argv[1:]) if operands else main()
        except OSError as error:
            _fail(f"{error.filename}: {error.strerror}" if error.filename else error)
        except (InputError, FloatingPointError) as error:
            _fail(error)
        except _out_of_memory() as error:
            _fail(f"Out of memory: {first_line(error)}.")
        except KeyboardInterrupt as error:
            number, *where = error.args or (signal.SIGINT,)
            print("Interrupted.", *where, file=sys.stderr)
            sys.exit(128 + number)

    app.run(run, flags_parser=parse)


def _out_of_memory():
    """What Python raises, and TensorFlow if it has been imported."""
    tensorflow = sys.modules.get("tensorflow")
    return (MemoryError, *([tensorflow.errors.ResourceExhaustedError] if tensorflow else []))


def _interrupt(number, frame):
    raise KeyboardInterrupt(number)


def _fail(error):
    sys.exit(f"{os.path.basename(sys.argv[0])}: {' '.join(str(error).split())}")


def import_tensorflow_quietly():
    """Imports TensorFlow without its start-up notes, which no setting of its own silences."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # errors are still raised as exceptions
    sys.stderr.flush()
    stderr, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        importlib.import_module("tensorflow")
        # It would list every variable that a state of another model lacks.
        logging.getLogger("tensorflow").setLevel(logging.ERROR)
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(nowhere)
