"""Pictures as documents that are kept or printed: PDF/UA, by typst, the same bytes for the same picture."""

import typst

_DOCUMENT = b"""#set document(title: sys.inputs.title, date: none)
#set text(lang: sys.inputs.language)
#set page(width: auto, height: auto, margin: 10mm)
#image(bytes(sys.inputs.picture), format: "svg", alt: sys.inputs.title)
"""


def pdf(svg: bytes, title: str, language: str) -> bytes:
    """Return a picture as a document of one page that is as large as it (PDF 1.7, PDF/UA-1: tagged, with its title).

    What the picture says is text and can be searched. Letters are those that typst brings along, whatever is installed.
    Some milliseconds; a picture of thousands of boxes takes tenths of a second: call it in a thread.

    Args:
        svg: The picture (SVG 2, UTF-8).
        title: What it shows; data, never markup.
        language: BCP 47.
    """
    told = {"title": title, "language": language, "picture": svg.decode()}
    made: bytes = typst.compile(
        _DOCUMENT, format="pdf", ignore_system_fonts=True, sys_inputs=told, pdf_standards="ua-1"
    )
    return made
