"""The words around a place name that say what the name is: a unit, a street, a market, a person, a place elsewhere.

Every word is folded (lower case, no diacritics), for that is how most people type on a phone. The lists err towards
doubt: a word too many here costs the dispatcher one click, a word too few sends a case to the wrong commune.
"""

# How people write the type of a unit, as the words directly before its name.
COMMUNE_TYPES = {
    ("xa",): "xã",
    ("x",): "xã",
    ("phuong",): "phường",
    ("p",): "phường",
    ("ph",): "phường",
    ("f",): "phường",
    ("thi", "tran"): "thị trấn",
    ("tt",): "thị trấn",
    ("t", "t"): "thị trấn",
}
UPPER_TYPES = {
    ("huyen",): "huyện",
    ("h",): "huyện",
    ("thi", "xa"): "thị xã",
    ("tx",): "thị xã",
    ("t", "x"): "thị xã",
    ("thanh", "pho"): "thành phố",
    ("tp",): "thành phố",
    ("t", "p"): "thành phố",
    ("quan",): "quận",
    ("q",): "quận",
    ("tinh",): "tỉnh",
}

# Too common as other words to announce a district by themselves: quản lý, một q.
OFTEN_OTHER_WORDS = frozenset({("quan",), ("q",)})

# The word before a type word that makes it another word: cách xa, hợp tác xã, ống xả, địa phương, chị Phương.
NOT_A_TYPE_AFTER = {
    "xa": frozenset({"cach", "tac", "rat", "qua", "kha", "hoi", "xa", "con", "ong", "ba", "thai"}),
    "phuong": frozenset(
        {"dia", "doi", "da", "chi", "anh", "em", "co", "chu", "ong", "ba", "bac", "di", "be", "ten", "ban", "thi"}
    ),
}

# "gần xã X", "đi xã X", "quê xã X": the unit is named, but not as the place of the matter.
ELSEWHERE_BEFORE = frozenset(
    {
        "gan", "giap", "ranh", "canh", "sat", "khoi", "di", "huong", "ve", "sang", "tu", "den", "toi",
    }
)  # fmt: skip

# Within three words before: "không phải xã X", "quê em ở xã X", "hộ khẩu tại xã X".
DENIALS = frozenset({"khong", "ko", "k", "kg", "que", "khau"})

# Names that are also everyday words once the capitals or the accents are lost ("xã thống nhất phương án", "xa dong
# tien rac" for đóng tiền, "xa minh thang nay" for xã mình tháng này).
WORDS_TOO = frozenset(
    {
        "thong nhat", "doan ket", "dong tien", "dong tam", "tien thanh", "binh minh", "thanh binh",
        "dang ha", "da kia", "thuan loi", "tan tien", "tan thanh", "dong no", "thanh an", "thanh hoa", "thanh phu",
        "thanh luong", "thanh tam", "duc hanh", "duong 10", "hung long", "quang minh",
        "minh duc", "minh hung", "minh lap", "minh long", "minh tam", "minh thang", "minh thanh",
    }
)  # fmt: skip
# Names people, shops and schools bear as well; bare they say little.
PEOPLE_TOO = WORDS_TOO | {
    "an phu", "binh son", "binh tan", "binh thang", "hung chien", "long ha", "phu son", "phu thinh", "phu van",
    "phuoc an", "phuoc thien", "son giang", "tan hung", "tan loi", "tan phu", "tan binh", "tan hoa", "tan hiep",
}  # fmt: skip

STREETS = frozenset({"duong", "d", "hem", "ngo", "pho", "lo"})
HAMLETS = frozenset({"ap", "kp", "to", "thon", "bon", "soc", "xom", "lang", "khom", "buon", "doi"})
FACILITIES = frozenset(
    {
        "cau", "cho", "truong", "thcs", "thpt", "tieu", "hoc", "non", "giao", "nga", "vong", "xoay", "ql", "quoc",
        "kcn", "ccn", "nghiep", "may", "xuong", "ty", "cty", "ben", "ho", "suoi", "song", "doc", "deo", "thac", "nui",
        "dap", "chua", "tho", "dinh", "mieu", "vien", "bv", "kham", "quan", "tiem", "shop", "hang", "khach", "nghi",
        "sieu", "karaoke", "trai", "xang", "kdc", "chung", "trang", "bong", "van", "htx", "tac", "tram", "rung",
        "cafe", "phe", "tnhh", "hieu", "xe", "bot", "ga", "cang", "khau", "tuyen",
    }
)  # fmt: skip
PEOPLE_BEFORE = frozenset(
    {
        "anh", "ong", "chu", "bac", "ten", "thay", "nguyen", "tran", "le", "pham", "huynh", "hoang", "vo", "vu",
        "bui", "ngo", "ly", "van", "thi", "phan", "truong", "dinh", "cao", "ha", "luong",
    }
)  # fmt: skip
LOCATIVES = frozenset({"o", "tai", "thuoc", "vuc"})
OF = frozenset({"thuoc", "o", "cua", "cu", "tai"})
AND = frozenset({"va", "voi", "hay", "hoac", "den", "qua", "di", "giap", "toi"})

# Streets and longer names of other places that begin with a name of ours.
STREET_NAMES = frozenset({"phu rieng do"})
LONGER_NAMES = frozenset(
    {
        "an phu dong", "an phu tay", "dong nai thuong", "long binh tan", "phu son lam ha", "phuoc long tho",
        "phuoc tan hung", "tan dong hiep", "tan hoa thanh", "tan hung thuan", "tan phu dong", "tan phu tay",
        "tan phu thanh", "tan phu trung", "tan phuoc hung", "tan phuoc khanh", "tan phuoc tay", "tan thanh dong",
        "tan thanh tay", "thanh hoa son", "thanh phu dong", "thanh phu long",
    }
)  # fmt: skip
# Provinces, and districts near ours: an address that ends in one of them is not in Bình Phước.
PLACES_ELSEWHERE = frozenset(
    {
        "ha noi", "ha giang", "cao bang", "bac kan", "tuyen quang", "lao cai", "dien bien", "lai chau", "son la",
        "yen bai", "hoa binh", "thai nguyen", "lang son", "quang ninh", "bac giang", "phu tho", "vinh phuc", "bac ninh",
        "hai duong", "hai phong", "hung yen", "thai binh", "ha nam", "nam dinh", "ninh binh", "nghe an", "ha tinh",
        "quang binh", "quang tri", "hue", "da nang", "quang nam", "quang ngai", "binh dinh", "phu yen", "khanh hoa",
        "ninh thuan", "binh thuan", "kon tum", "gia lai", "dak lak", "dak nong", "lam dong", "tay ninh", "binh duong",
        "vung tau", "ba ria", "ho chi minh", "hcm", "tphcm", "sai gon", "long an", "tien giang", "ben tre", "tra vinh",
        "vinh long", "dong thap", "an giang", "kien giang", "can tho", "hau giang", "soc trang", "bac lieu", "ca mau",
        "bien hoa", "long khanh", "long thanh", "nhon trach", "trang bom", "vinh cuu", "dinh quan", "xuan loc",
        "cam my", "di an", "thuan an", "thu dau mot", "tan uyen", "bac tan uyen", "ben cat", "bau bang", "dau tieng",
        "phu giao", "tan chau", "tan bien", "duong minh chau", "go dau", "trang bang", "cat tien", "da teh", "bao lam",
        "bao loc", "tuy duc", "gia nghia", "cu chi", "thu duc", "hoc mon", "binh chanh", "nha be", "go vap",
        "binh thanh", "phu nhuan", "vung liem", "snoul", "campuchia",
    }
)  # fmt: skip

# Units of the other half of the merged province that bear type and name of one of ours (old and new lists of Đồng
# Nai). Since the merger both halves call the same hotline.
NAMESAKES_IN_DONG_NAI = frozenset(
    {
        ("thị trấn", "tan phu"), ("xã", "binh minh"), ("xã", "binh son"), ("xã", "long hung"), ("xã", "long tan"),
        ("xã", "loc an"), ("xã", "phu son"), ("xã", "phuoc an"), ("xã", "phuoc thien"), ("xã", "thanh binh"),
        ("xã", "thanh phu"), ("xã", "thong nhat"), ("xã", "tan hiep"),
    }
)  # fmt: skip
