"""What the commands share: a user's mistake is one line on stderr and exit status 1."""

import os
import sys

from absl import app, flags

from keras_gan import InputError


def start(main, check=lambda: None):
    """Parses the flags, calls `check()`, which is quick, and then `main()`."""

    def parse(argv):
        try:
            unknown = flags.FLAGS(argv)[1:]
            if unknown:
                raise InputError(f"{unknown[0]}: expected flags only, see --help.")
            if not flags.FLAGS["verbosity"].present:
                flags.FLAGS.verbosity = -1  # warnings: TensorFlow logs each file it saves
            check()
        except (flags.Error, InputError) as error:
            _fail(error)
        return argv

    def guarded(_):
        try:
            main()
        except (InputError, FloatingPointError, OSError) as error:
            _fail(error)
        except KeyboardInterrupt:
            print("Interrupted.", file=sys.stderr)
            sys.exit(130)

    app.run(guarded, flags_parser=parse)


def _fail(error):
    sys.exit(f"{os.path.basename(sys.argv[0])}: {' '.join(str(error).split())}")
