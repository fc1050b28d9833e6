"""What mail programs put around quotes, forwarded mails and signatures, by language. Patterns for lower-case lines.

Gmail, Outlook, Apple Mail, Yahoo and the programs on telephones, in Vietnamese and in the languages that foreigners in
the province write in. Pure.
"""

import re
from typing import Final

from channels.mail.phrases import one_of
from channels.mail.replying import CUT_LINE

CUT: Final = re.compile(
    re.escape(CUT_LINE.strip("— ").lower())
    + r"|[-=#*]{2,20} ?(?:please )?(?:reply|write|type your reply) above this line"
)

# The words before the colon of "… wrote:", and what may stand between.
WRITES: Final = re.compile(
    one_of(
        r"""
        (?:đã )?viết
        wrote
        writes
        a écrit
        schrieb
        (?:folgendes geschrieben|het volgende geschreven)
        escribi[óo]
        ha scritto
        escreveu
        schreef
        skrev
        napisał(?:\(a\)|a)?
        napsal(?:\(a\)|a)?
        kirjoitti
        a scris
        írta
        (?:şunları )?yazdı
        (?:на)?писал(?:\(а\)|а)?
        пишет
        пише
        va escriure
        写道
        寫道
        님이 작성
        さんは書きました
        のメール
        เขียนว่า
        menulis
        """
    )
    + r"(?=[\s\u00a0]{0,2}[:：]|[\s\u00a0]{0,9}$|[\s\u00a0].{0,200}[:：]$)"
)
# How that line begins, where it does not begin with a name.
WRITES_FIRST: Final = re.compile(
    one_of(
        r"""
        (?:vào|ngày|lúc)\b
        (?:on|at|in)\b
        (?:le|am|el|il|em|op|den|på|dne|pe|a|pada)\b
        (?:w )?dni[au]\b
        (?:mon|tue|wed|thu|fri|sat|sun)\b
        (?:lun|mar|mer|jeu|ven|sam|dim|dom|seg|ter|qua|qui|sex|sáb)\b
        (?:mo|di|mi|do|fr|sa|so|pon|wt|śr|czw|pt|sob|niedz)\.
        (?:пн|вт|ср|чт|пт|сб|вс)\b
        \d
        -{1,4} ?
        """
    )
)

FORWARDED: Final = re.compile(
    r"[-=]{2,20}\s{0,3}"
    + one_of(
        r"""
        forwarded (?:message|mail)
        (?:thư |tin nhắn |thông điệp |nội dung )?(?:đã |được )?chuyển tiếp
        (?:message|courriel) transféré
        weitergeleitete (?:nachricht|mail)
        mensaje (?:original )?reenviado
        messaggio inoltrato
        mensagem (?:re)?encaminhada
        doorgestuurd bericht
        vidarebefordrat (?:meddelande|mail)
        videresendt (?:meddelelse|melding)
        (?:пересылаемое|пересланное|перенаправленное) (?:сообщение|письмо)
        wiadomość przekazana
        treść przekazanej wiadomości
        přeposlaná zpráva
        转发的?邮件(?:信息)?
        轉寄郵件
        転送(?:された)?メッセージ
        전달된 메시지
        pesan terusan
        """
    )
    + r"(?: (?:by|từ) [^-]{1,60})?\s{0,3}[-=]{2,20}|"
    + one_of(
        r"""
        begin forwarded message\s?:
        bắt đầu (?:thư|tin nhắn) (?:đã |được )?chuyển tiếp\s?:
        début du message (?:transféré|réexpédié)\s?:
        anfang der weitergeleiteten (?:nachricht|e-mail)\s?:
        inicio del mensaje reenviado\s?:
        inizio messaggio inoltrato\s?:
        início da mensagem (?:re)?encaminhada\s?:
        begin doorgestuurd bericht\s?:
        начало переадресованного (?:сообщения|письма)\s?:
        下面是被转发的邮件
        開始轉寄訊息
        """
    )
)
ORIGINAL: Final = re.compile(
    r"[-_=]{2,20}\s{0,3}"
    + one_of(
        r"""
        (?:thư|tin nhắn|thông điệp) (?:gốc|nguyên bản|ban đầu)
        original (?:message|email)
        reply (?:to )?message
        message (?:d'origine|original)
        (?:ursprüngliche|antwort) nachricht
        original-?nachricht
        mensaje original
        messaggio originale
        mensagem original
        oorspronkelijk bericht
        ursprungligt meddelande
        (?:original ?|oprindelig )meddelelse
        opprinnelig melding
        alkuperäinen viesti
        (?:исходное|оригинальное) сообщение
        wiadomość oryginalna
        původní zpráva
        orijinal mesaj
        原始邮件
        原始郵件
        元のメッセージ
        원본 메시지
        """
    )
    + r"\s{0,3}[-_=]{0,20}"
)

_NAMES: Final = {
    "from": (
        "từ|người gửi|from|de|von|da|van|od|fra|från|lähettäjä|от|от кого|发件人|寄件者|寄件人|差出人|送信者|"
        "보낸 사람|kimden|gönderen|dari|feladó"
    ),
    "date": (
        "đã gửi|ngày|ngày gửi|gửi lúc|thời gian|gửi ngày|vào lúc|đã gửi vào|sent|date|envoyé|envoyé le|"
        "gesendet|gesendet am|datum|enviado|enviado el|enviado em|fecha|inviato|data|enviada em|data de envio|"
        "verzonden|wysłano|skickat|sendt|dato|lähetetty|отправлено|дата|发送时间|日期|傳送時間|送信日時|日時|"
        "보낸 날짜|날짜|odesláno|tarih|dikirim|tanggal"
    ),
    "to": (
        "tới|đến|người nhận|gửi tới|gửi đến|gửi|to|à|an|para|a|aan|do|til|till|vastaanottaja|кому|收件人|"
        "收件者|宛先|받는 사람|komu|kime|kepada|per"
    ),
    "cc": ("cc|bcc|đồng gửi|đồng kính gửi|kopie|kopia|копия|抄送|副本|참조|reply-to|trả lời tới"),
    "subject": (
        "chủ đề|tiêu đề|về việc|v/v|subject|objet|betreff|asunto|oggetto|assunto|onderwerp|temat|ämne|emne|"
        "aihe|тема|主题|主旨|件名|제목|předmět|konu|perihal|subjek|sujet|tárgy"
    ),
}
LABELS: Final = {name.strip(): label for label, names in _NAMES.items() for name in names.split("|")}

# The line a telephone or a mail program adds below what was written.
MOBILE: Final = re.compile(
    one_of(
        r"""
        (?:được |đã )?gửi (?:đi )?từ (?:i(?:phone|pad)|android|điện thoại|thiết bị|outlook)
        (?:được |đã )?gửi (?:đi )?từ (?:yahoo|samsung|mail\b|thư|hộp thư|galaxy)
        (?:được |đã )?gửi (?:đi )?từ (?:oppo|xiaomi|zalo|gmail|máy|một chiếc|blackberry|vivo|ứng dụng|huawei|nokia)
        (?:tải|nhận) outlook (?:cho|dành cho)\b
        sen[dt] (?:from|via|using|by) (?:my |an? |the )?(?:i ?phone|i ?pad|i ?pod|android)
        sen[dt] (?:from|via|using|by) (?:my |an? |the )?(?:samsung|galaxy|outlook|yahoo|mail for)
        sen[dt] (?:from|via|using|by) (?:my |an? |the )?(?:mobile|blackberry|huawei|xiaomi|oppo)
        sen[dt] (?:from|via|using|by) (?:my |an? |the )?(?:vivo|nokia|htc|windows|proton)
        sen[dt] (?:from|via|using|by) (?:my |an? |the )?(?:mailbox|aol|lg|sony|verizon)
        sen[dt] (?:from|via|using|by) (?:my |an? |the )?(?:at&t|t-mobile|cell|smart|tablet|pixel)
        sen[dt] (?:from|via|using|by) (?:my |an? |the )?(?:spark|hotmail|fairmail|k-9|zoho)
        sen[dt] (?:from|via|using|by) (?:my |an? |the )?(?:tutanota|airmail|phone|telstra|gmail)
        sent with (?:proton|airmail|spark|blackberry|tutanota|mailspring)
        (?:get|download) outlook (?:for|pour|para|für)\b
        envoyé (?:de|depuis|à partir (?:de|d'un)) (?:mon|ma|l'|une? |outlook|yahoo|iphone|ipad|mail|proton|smartphone)
        envoyé avec
        (?:obtenir|télécharger) outlook pour\b
        von meinem (?:iphone|ipad|handy|samsung|smartphone|android|mobil)
        (?:gesendet|diese nachricht wurde) (?:von|mit) (?:meinem|iphone|mail|outlook)
        outlook für (?:ios|android)
        enviado (?:desde|do|de|a partir do) (?:mi|meu|iphone|ipad|outlook|correo|yahoo|e-mail|samsung|mail)
        (?:obtener|obter o) outlook para\b
        inviato da(?:l mio| iphone| ipad| outlook| yahoo| posta|l)
        verzonden (?:vanaf|met|via|vanuit) (?:mijn|outlook|iphone|samsung|e-mail|mail)
        skickat från (?:min|outlook|mail|yahoo|e-post)
        sendt fra (?:min|outlook|mail|yahoo)
        wysłane z (?:iphone|mojego|telefonu|programu|aplikacji)
        отправлено (?:с|из|от)\b
        lähetetty iphone
        dikirim dari\b
        iphoneから送信
        发自我的
        從我的 ?iphone
        나의 iphone
        """
    )
)

_REPLY: Final = "re|trả lời|tl|aw|antw|antwort|sv|ref|odp|rif|vs|res|ynt|回复|回覆|答复"
_FORWARD: Final = "fwd?|chuyển tiếp|tr|wg|rv|enc|i|vl|pd|doorst|fs|ilt|trs|terusan|转发|轉寄|转寄"
_TAGGED: Final = r"\s{0,9}(?:\[[^\]]{1,60}\]\s{0,9})?"
SUBJECT_REPLIES: Final = re.compile(rf"{_TAGGED}(?:{_REPLY})(?:\[\d+\])?\s?[:：]", re.IGNORECASE)
SUBJECT_FORWARDS: Final = re.compile(rf"{_TAGGED}(?:{_FORWARD})(?:\[\d+\])?\s?[:：]", re.IGNORECASE)
