"""What a drawn figure shows: its words and its bytes."""

import io


def words(figure) -> str:
    """Give all text that a figure shows."""
    figure.draw_without_rendering()
    return "\n".join(
        artist.get_text() for artist in figure.findobj(lambda a: hasattr(a, "get_text"))
    )


def png(figure) -> bytes:
    """Give the figure as a PNG, without the name of the software that drew it."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
