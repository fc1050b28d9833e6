"""The words that rules may use beside fields, areas and departments, and what each is called. Pure.

A value that stands in none of these lists can never be true of a case, so the checker refuses it.
"""

from collections.abc import Mapping

Named = Mapping[str, tuple[str, str]]  # code → Vietnamese, English

ASSET_OWNERS: Named = {
    "national_road": ("Nhà nước, quốc lộ", "The state, national road"),
    "provincial_road": ("Tỉnh, đường tỉnh", "The province, its road"),
    "district_road": ("Huyện cũ, đường huyện", "The former district, its road"),
    "commune_road": ("Xã, phường", "The commune"),
    "rural_water": ("Cấp nước nông thôn", "Rural water works"),
    "urban_water": ("Công ty cấp nước", "The water company"),
    "private": ("Tư nhân", "Private"),
}

ROAD_CLASSES: Named = {
    "national": ("Quốc lộ", "National road"),
    "provincial": ("Đường tỉnh (ĐT)", "Provincial road"),
    "district": ("Đường huyện (ĐH)", "District road"),
    "commune": ("Đường xã, thôn, ấp", "Commune road"),
    "urban": ("Đường đô thị", "Street in a town"),
    "private": ("Đường nội bộ", "Private road"),
}

SEVERAL_UNITS = "several_units"
STATED_FLAGS: Named = {
    "farm_produce": ("nông sản, thịt, cá tươi", "farm produce"),
    "industrial_food": ("thực phẩm công nghiệp, rượu bia, bánh kẹo", "industrial food"),
}
"""What people state of a case; `several_units` is so by itself."""
FLAGS: Named = {SEVERAL_UNITS: ("có đơn vị phối hợp", "units help"), **STATED_FLAGS}

ROLES: Named = {
    "unit_head": ("thủ trưởng đơn vị", "head of the unit"),
    "supervisor": ("trưởng ca 1022", "supervisor of 1022"),
    "owner_dept": ("cơ quan chủ quản 1022", "department in charge of 1022"),
    "provincial_office": ("Văn phòng UBND tỉnh", "office of the provincial committee"),
    "vice_chair": ("phó chủ tịch phụ trách", "vice-chair in charge"),
}
"""Whom `escalate[].to` may name."""
