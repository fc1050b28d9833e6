"""The words that rules may use beside fields, areas and departments, and what each is called. Pure.

A value that stands in none of these lists can never be true of a case, so the checker refuses it.
"""

from collections.abc import Mapping

Named = Mapping[str, tuple[str, str]]  # code → Vietnamese, English

ASSET_OWNERS: Named = {
    "national_road": ("quốc lộ", "national road"),
    "provincial_road": ("đường tỉnh", "provincial road"),
    "district_road": ("đường huyện", "district road"),
    "local_road": ("đường xã, phường", "local road"),
    "rural_water": ("nước sạch nông thôn", "rural water supply"),
}

SEVERAL_UNITS = "several_units"
FLAGS: Named = {
    SEVERAL_UNITS: ("có đơn vị phối hợp", "units help"),
    "farm_produce": ("nông sản", "farm produce"),
    "industrial_food": ("thực phẩm công nghiệp", "industrial food"),
    "anonymous": ("ẩn danh", "anonymous"),
}

ROLES: Named = {
    "unit_head": ("thủ trưởng đơn vị", "head of the unit"),
    "supervisor": ("trưởng ca 1022", "supervisor of 1022"),
    "owner_dept": ("cơ quan chủ quản 1022", "department in charge of 1022"),
    "provincial_office": ("Văn phòng UBND tỉnh", "office of the provincial committee"),
    "vice_chair": ("phó chủ tịch phụ trách", "vice-chair in charge"),
}
"""Whom `escalate[].to` may name."""
