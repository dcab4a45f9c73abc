"""A gazetteer of a few real settlements, small enough to be built in each test."""

from geo.gazetteer_build import Settlement

SETTLEMENTS = (
    Settlement(1, "Prague", 50.088, 14.42076, "CZ", "Prague", 1_165_581, ("Praha", "Прага", "PRG")),
    Settlement(
        2, "Saint Petersburg", 59.93863, 30.31413, "RU", "St.-Petersburg", 5_351_935,
        ("Санкт-Петербург", "Sankt-Peterburg"),
    ),
    Settlement(3, "Tokyo", 35.6895, 139.69171, "JP", "Tokyo", 9_733_276, ("東京", "tong jing")),
    Settlement(4, "Bangkok", 13.75398, 100.50144, "TH", "Bangkok", 5_104_476, ("กรุงเทพมหานคร",)),
    Settlement(5, "Cairo", 30.06263, 31.24967, "EG", "Cairo", 9_606_916, ("القاهرة",)),
    Settlement(6, "Cairo", 37.00533, -89.17646, "US", "Illinois", 2_166),
    Settlement(7, "Athens", 37.98376, 23.72784, "GR", "Attica", 664_046, ("Αθήνα", "Αθηνα")),
    Settlement(8, "Seoul", 37.566, 126.9784, "KR", "Seoul", 10_349_312, ("서울",)),
    Settlement(9, "Strasbourg", 48.58392, 7.74553, "FR", "Grand Est", 274_845, ("Straßburg",)),
    Settlement(10, "Kehl", 48.57297, 7.81523, "DE", "Baden-Wurttemberg", 34_789),
    Settlement(11, "Copenhagen", 55.67594, 12.56553, "DK", "Capital Region", 1_153_615,
               ("København",)),
    Settlement(12, "Reykjavík", 64.13548, -21.89541, "IS", "Capital Region", 118_918),
    Settlement(13, "Malmö", 55.60587, 13.00073, "SE", "Skåne", 301_706),
    Settlement(14, "Malmo", 45.33, -93.52, "US", "Minnesota", 300),
    Settlement(15, "Springfield", 37.21533, -93.29824, "US", "Missouri", 166_810),
    Settlement(16, "Springfield", 39.80172, -89.64371, "US", "Illinois", 116_565),
    Settlement(17, "Łódź", 51.77058, 19.47395, "PL", "Łódź Voivodeship", 768_755),
    Settlement(18, "Istanbul", 41.01384, 28.94966, "TR", "Istanbul", 14_804_116, ("İstanbul",)),
    Settlement(19, "Suva", -18.14161, 178.44149, "FJ", "Central", 93_970),
    Settlement(20, "Waiyevo", -16.79, -179.98, "FJ", "Northern", 1_200),
    Settlement(21, "Longyearbyen", 78.22334, 15.64689, "SJ", "Svalbard", 2_060),
    Settlement(22, "Topeka", 39.04833, -95.67804, "US", "Kansas", 126_587, ("Google",)),
)  # fmt: skip
