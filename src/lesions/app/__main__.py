"""`python -m lesions.app` is the command `lesions`."""

from lesions.app.command_line import run_program

if __name__ == "__main__":
    run_program()
