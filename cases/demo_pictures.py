"""Small drawings that stand for citizens' photos in the demo: made here, so nobody's picture is used. Pure.

Every picture says in its corner that it is an illustration.
"""

from collections.abc import Callable
from io import BytesIO

from PIL import Image, ImageDraw, ImageFont

SIZE = (960, 720)
JPEG_QUALITY = 82
LABEL = "ảnh minh họa"

_SKY, _ROAD, _PAVEMENT, _DARK, _WATER, _LEAF, _TRUNK = (
    "#a9c4d8", "#6f7377", "#b8b2a6", "#1d1f21", "#6b7f7a", "#3f7d43", "#6a4b2f",
)  # fmt: skip

Draw = ImageDraw.ImageDraw


def picture(scene: str) -> bytes:
    """The JPEG of a scene: one of SCENES. KeyError for another."""
    image = Image.new("RGB", SIZE, _SKY)
    draw = ImageDraw.Draw(image)
    SCENES[scene](draw)
    _label(draw)
    out = BytesIO()
    image.save(out, "JPEG", quality=JPEG_QUALITY)
    return out.getvalue()


def _street(draw: Draw, road: str = _ROAD) -> None:
    draw.rectangle((0, 300, 960, 380), fill=_PAVEMENT)
    draw.polygon([(0, 720), (180, 380), (780, 380), (960, 720)], fill=road)
    for top in range(400, 720, 90):
        draw.polygon([(474, top), (486, top), (490, top + 46), (470, top + 46)], fill="#d9d6c8")
    for left, height in ((30, 150), (210, 200), (420, 120), (600, 190), (800, 140)):
        draw.rectangle((left, 300 - height, left + 130, 300), fill="#cdb79a", outline="#8b7a62")
        for window in range(left + 18, left + 110, 40):
            draw.rectangle((window, 325 - height, window + 20, 355 - height), fill="#5f7d91")


def _manhole(draw: Draw) -> None:
    _street(draw)
    draw.ellipse((350, 500, 610, 610), fill="#44474a", outline="#2b2d2f", width=8)
    draw.ellipse((385, 515, 575, 595), fill=_DARK)
    draw.polygon([(575, 520), (690, 560), (650, 600), (560, 580)], fill="#54585b", outline="#2b2d2f")


def _manhole_mended(draw: Draw) -> None:
    _street(draw)
    draw.ellipse((350, 500, 610, 610), fill="#7d8286", outline="#3a3d40", width=8)
    for across in range(390, 580, 38):
        draw.line((across, 528, across, 584), fill="#55595d", width=6)


def _pothole(draw: Draw) -> None:
    _street(draw)
    draw.polygon([(330, 560), (400, 515), (520, 525), (630, 560), (570, 625), (420, 630)], fill="#4a4641")
    draw.polygon([(380, 565), (430, 540), (520, 545), (580, 568), (530, 600), (430, 602)], fill=_WATER)


def _pothole_mended(draw: Draw) -> None:
    _street(draw)
    draw.rectangle((330, 510, 640, 630), fill="#3c3e40", outline="#2c2d2f", width=4)


def _tree(draw: Draw) -> None:
    _street(draw)
    draw.polygon([(150, 400), (205, 400), (560, 560), (548, 590)], fill=_TRUNK)
    for left, top in ((480, 470), (560, 520), (520, 420), (620, 470), (600, 570)):
        draw.ellipse((left, top, left + 170, top + 110), fill=_LEAF)


def _rubbish(draw: Draw) -> None:
    _street(draw)
    bags = (("#2f3336", 90), ("#35603c", 190), ("#2b2b2b", 280), ("#8c6d3f", 150), ("#3b4f6b", 240))
    for number, (colour, left) in enumerate(bags):
        top = 430 - (number % 2) * 60
        draw.ellipse((left, top, left + 130, top + 120), fill=colour)
        draw.polygon([(left + 55, top + 12), (left + 65, top - 22), (left + 78, top + 12)], fill=colour)


def _flood(draw: Draw) -> None:
    _street(draw)
    draw.rectangle((0, 400, 960, 720), fill=_WATER)
    for top in range(430, 710, 42):
        draw.arc((120, top, 420, top + 30), 200, 340, fill="#93a7a2", width=4)
        draw.arc((520, top + 12, 840, top + 44), 200, 340, fill="#93a7a2", width=4)
    draw.ellipse((420, 440, 520, 540), outline=_DARK, width=12)
    draw.rectangle((400, 430, 600, 470), fill="#9c3b33")


def _dark_street(draw: Draw) -> None:
    draw.rectangle((0, 0, 960, 720), fill="#10141c")
    draw.polygon([(0, 720), (220, 380), (740, 380), (960, 720)], fill="#1c2026")
    for left in (150, 330, 690):
        draw.rectangle((left, 150, left + 8, 420), fill="#2c323b")
        draw.line((left, 152, left + 60, 140), fill="#2c323b", width=8)
    draw.ellipse((640, 560, 672, 592), fill="#f3e6a3")


def _cables(draw: Draw) -> None:
    _street(draw)
    for left in (160, 800):
        draw.rectangle((left, 60, left + 20, 420), fill="#8d8a84")
    for drop in (40, 150, 260, 330):
        draw.arc((160, 90 - drop, 820, 90 + drop), 0, 180, fill=_DARK, width=5)


SCENES: dict[str, Callable[[Draw], None]] = {
    "manhole": _manhole,
    "manhole-mended": _manhole_mended,
    "pothole": _pothole,
    "pothole-mended": _pothole_mended,
    "tree": _tree,
    "rubbish": _rubbish,
    "flood": _flood,
    "dark-street": _dark_street,
    "cables": _cables,
}


def _label(draw: Draw) -> None:
    """LABEL in the corner. The built-in font has no Vietnamese letters, so their marks are drawn."""
    font = ImageFont.load_default(30)
    plain = "anh minh hoa"
    draw.rectangle((14, 662, 32 + draw.textlength(plain, font=font), 708), fill="#ffffff")
    left, top = 23.0, 667
    draw.text((left, top), plain, font=font, fill="#222222")
    hook = left + draw.textlength("a", font=font) / 2
    draw.arc((hook - 4, top - 3, hook + 4, top + 5), 180, 90, fill="#222222", width=2)
    dot = left + draw.textlength("anh minh h", font=font) + draw.textlength("o", font=font) / 2
    draw.ellipse((dot - 2, top + 32, dot + 2, top + 36), fill="#222222")
