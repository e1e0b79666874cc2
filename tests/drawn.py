"""The words and the bytes of a drawn figure."""

import io


def words(figure) -> str:
    """Return all text that a figure shows."""
    figure.draw_without_rendering()
    return "\n".join(
        artist.get_text() for artist in figure.findobj(lambda a: hasattr(a, "get_text"))
    )


def png(figure) -> bytes:
    """Return the figure as a PNG, without the name of the software that drew it."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
