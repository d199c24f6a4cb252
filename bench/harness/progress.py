"""A line on the terminal that says how far it is."""

import os
import sys
import time


class Progress:
    def __init__(self, total: int) -> None:
        self.total, self.count, self.words, self.begun = total, 0, "", time.monotonic()
        self.is_terminal = sys.stderr.isatty()

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        self._clear()

    def show(self, words: str) -> None:
        self.words = words
        self._draw()

    def done(self) -> None:
        self.count += 1
        self._draw()

    def say(self, line: str) -> None:
        """A line that stays, above the bar."""
        self._clear()
        print(line, file=sys.stderr)
        self._draw()

    def _draw(self) -> None:
        if not self.is_terminal:
            return
        share = self.count / self.total if self.total else 1.0
        eighths = round(share * WIDTH * 8)
        bar = "█" * (eighths // 8) + (" ▏▎▍▌▋▊▉"[eighths % 8] if eighths % 8 else "")
        line = f"\r▕{bar:<{WIDTH}}▏ {share:4.0%} {self._left():>9}  {self.words}"
        columns = os.get_terminal_size(sys.stderr.fileno()).columns
        sys.stderr.write(line[:columns] + "\x1b[K")
        sys.stderr.flush()

    def _left(self) -> str:
        if self.count == 0:
            return ""
        seconds = round((time.monotonic() - self.begun) / self.count * (self.total - self.count))
        return f"{seconds // 60}:{seconds % 60:02} left"

    def _clear(self) -> None:
        if self.is_terminal:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


WIDTH = 30
