"""What the programs share. Whoever sends one sends this text in the place of the line that imports it."""

import json
import os
import socket
import sys
import time


def connected(host, port, seconds):
    """A connection, None where there is none; then the code and the words of why."""
    try:
        return socket.create_connection((host, port), timeout=seconds), "", ""
    except socket.gaierror as error:
        return None, "dns", error
    except socket.timeout as error:
        return None, "timeout", error
    except ConnectionRefusedError as error:
        return None, "refused", error
    except OSError as error:
        return None, "unreachable", error


def tell(main):
    """Print what `main` says to the program's argument; with "every" again after so many seconds, for ever."""
    asked = json.loads(sys.argv[1])
    while True:
        said = {"nonce": os.environ.get("SEATRIAL_NONCE", ""), "clock": time.monotonic(), **main(asked)}
        print(json.dumps(said), flush=True)
        if "every" not in asked:
            break
        time.sleep(asked["every"])
