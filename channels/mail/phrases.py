"""What mail servers and answering machines say, by language: patterns for lower-case text. Pure."""

import re
from typing import Final


def one_of(alternatives: str) -> str:
    """A pattern for any of the alternatives, one a line."""
    return "(?:" + "|".join(line.strip() for line in alternatives.splitlines() if line.strip()) + ")"


# How the words of a machine go on in a subject; a person's sentence goes on otherwise.
_ENDS: Final = (
    r"(?=\s{0,3}(?:$|[][:：(),.;!|–—-]|(?:re|to|from|for|by|until|till|back|returning|đến|tới|từ|hết|cho|bis|vom|auf|von|de|du|"
    r"jusqu|hasta|al?|fino|à|do|od)\b))"
)
ABSENT: Final = re.compile(
    r"\s{0,3}(?:\[[^\]]{1,40}\]\s?)?(?:auto(?:matic)?[ -]?(?:reply|response)?[:,]\s{0,3})?"
    + one_of(
        r"""
        out[ -]of[ -](?:the[ -])?office
        .{0,60}\bis out of (?:the|my) office
        ooo\b
        i(?: am|'m) (?:away|out of|on leave|on vacation)
        away from (?:the |my )?office
        on (?:annual |maternity )?leave\b
        (?:on )?vacation\b
        annual leave
        (?:thông báo )?vắng mặt
        thông báo (?:vắng|nghỉ)
        tôi (?:đang )?(?:đi )?(?:vắng|nghỉ phép|công tác)
        (?:đang )?(?:nghỉ phép|đi công tác)
        không có mặt
        abwesen
        ich bin (?:nicht|abwesend|außer|im urlaub)
        außer haus
        urlaub
        absence\b
        (?:je suis )?absente?\b
        en (?:congé|vacances)
        (?:estoy )?fuera de (?:la )?oficina
        ausen(?:te|cia)
        estou fora
        fuori (?:ufficio|sede)
        in ferie\b
        assen(?:za|te)
        afwezig
        niet aanwezig
        frånvaro
        ikke til stede
        fravær
        poissa
        nieobecno
        poza biurem
        mimo kancelář
        отсутству
        вне офиса
        外出
        不在
        休假
        부재
        """
    )
)
# What alone makes a subject that of an absence, whatever the headers; what may stand behind it is in _ENDS.
ABSENT_SURELY: Final = re.compile(
    r"\s{0,3}(?:\[[^\]]{1,40}\]\s?)?(?:auto(?:matic)?[ -]?(?:reply|response)?[:,]\s{0,3})?"
    + one_of(
        r"""
        out[ -]of[ -](?:the[ -])?office(?: (?:auto|reply|message|notif)\w*)?
        .{0,60}\bis out of (?:the|my) office
        ooo
        i(?: am|'m) (?:out of (?:the |my )?office|(?:currently )?on (?:annual )?(?:leave|vacation))
        away from (?:the |my )?office
        (?:thông báo )?vắng mặt (?:khỏi|tại) (?:văn phòng|cơ quan)
        vắng mặt(?= (?:đến|tới|từ|hết)\b)
        thông báo (?:vắng mặt|nghỉ phép)
        tôi (?:đang )?(?:đi )?(?:vắng|vắng mặt|nghỉ phép|công tác)
        abwesen\w*
        ich bin (?:abwesend|außer haus|im urlaub|nicht im (?:büro|haus))
        absence du bureau
        je suis absente?
        (?:estoy )?fuera de (?:la )?oficina
        ausente do escritório
        fuori (?:ufficio|sede)
        afwezig\w*
        frånvaro\w*
        fravær\w*
        nieobecno\w*
        poza biurem
        mimo kancelář\w*
        вне офиса
        """
    )
    + _ENDS
)
AUTOMATIC_SUBJECT: Final = re.compile(
    r"\s{0,5}\[?\s?"
    + one_of(
        r"""
        auto(?:matic|mated|matically generated)?[- _]?\s?(?:reply|response|respond(?:er)?|answer|acknowledg)
        (?:thư )?(?:trả lời|phản hồi) tự động
        (?:thư )?tự động (?:trả lời|phản hồi)
        automatische (?:antwort|rückantwort)
        odpowiedź automatyczna
        自動応答
        automatisch (?:antwoord|bericht)
        automatické? odpov
        réponse automatique
        respuesta autom
        resposta autom
        risposta automatica
        autosvar
        automatsvar
        automatiskt svar
        automaattinen(?: vastaus)?
        automatyczna odpowied
        autoodpowied
        автоответ
        автоматический ответ
        自动回复
        自動回覆
        自動返信
        자동 ?(?:응답|회신)
        otomatik yan
        balasan otomatis
        """
    )
    + r"\w*"
    + _ENDS
)
NOT_FAILED_SUBJECT: Final = re.compile(r"\s{0,5}(?:not read|chưa đọc|re|fwd?|aw|trả lời|tl|chuyển tiếp|sv|tr|wg)\s?:")

FAILED_SUBJECT: Final = re.compile(
    one_of(
        r"""
        undeliver(?:able|ed)
        deliver(?:y|ies)[ :-].{0,40}(?:fail|problem|error|unsuccess|impossible)
        deliver(?:y|ies)[ :-].{0,40}(?:warning|postponed|incomplete|notif|report|status|delay|suspend)
        non[- ]?deliver
        not (?:be )?deliver
        could ?n[o']t (?:be )?(?:deliver|sen[dt])
        unable to deliver
        fail(?:ed|ure)?.{0,20}(?:deliver|notice|mail|send)
        return(?:ed|ing) (?:mail|message|e-?mail|to sender)
        mail (?:system )?(?:error|failure|status)
        mail.{0,30}(?:undeliver|returned|rejected|failed|delayed)
        message.{0,30}(?:undeliver|rejected|not delivered|failed|delayed|blocked|bounced|status)
        (?:user|host|recipient|mailbox|address) (?:un)?(?:known|not found|full|unavailable|invalid)
        unknown (?:user|recipient|address)
        (?:warning|error).{0,10}(?:could not send|message|mail)
        bounce
        delivery (?:has failed|to\b)
        permanent error
        transient
        (?:quota exceed|over quota)
        mailbox (?:is )?full
        no such user
        (?:address|smtp) error
        (?:address )?rejected
        error sending
        problem delivering
        mailer-daemon
        spam reject
        unzustellbar
        nicht zugestellt
        (?:mail)?zustellung
        non (?:remis|distribu|délivr)
        [ée]chec
        remise
        no se (?:ha )?(?:pudo|podido)
        no entregado
        devuelt
        mancat[ao] (?:recapito|consegna)
        non recapitat
        não entregue
        falha
        devolvid
        onbestelbaar
        niet bezorg
        kan ikke leveres
        nie dostarczono
        zwrot
        niedostarcz
        не ?доставлен
        невозможно доставить
        不能送达
        无法投递
        退信
        退回
        配信(?:できません|不能)
        (?:配信|送信|配送)に?(?:失敗|できません)
        エラー
        返され
        不達
        thất bại
        không (?:thể )?(?:gửi|chuyển|phát) được
        không thể gửi
        thư bị trả lại
        gửi thư không thành công
        """
    )
)
FAILED_TEXT: Final = re.compile(
    one_of(
        r"""
        undeliver(?:able|ed)
        (?:could|can|was|were|is|are|has|have|will) ?not (?:be(?:en)? )?(?:deliver|reach|sent\b)
        (?:could|can|was|were|is|are|has|have|will) ?not (?:be(?:en)? )?(?:find|found|accept|relay)
        couldn't be (?:delivered|found)
        wasn't (?:able to|delivered)
        (?:unable|not able|failed|impossible) to (?:deliver|relay|send|find|reach)
        deliver[a-z]* (?:to the following|has been|attempt|fail|error|delay|not possible|impossible|status|problem)
        unknown user
        no such (?:user|recipient|mailbox|address|account|person|local|domain|host)
        (?:user|recipient|address|account|mailbox|host|domain)[^.\n]{0,60}not (?:be )?(?:found|exist|known|valid)
        (?:user|recipient|address|account|mailbox|host|domain)[^.\n]{0,60}not (?:active|listed|local|available|unique)
        (?:user|recipient|address|account|mailbox|host|domain)[^.\n]{0,60}(?:does ?n[o']t|do not|doesn't) (?:exist|have)
        (?:user|recipient|address|account|mailbox|host|domain)[^.\n]{0,60}(?:unknown|disabled|inactive)
        (?:user|recipient|address|account|mailbox|host|domain)[^.\n]{0,60}(?:rejected|full|unavailable)
        (?:user|recipient|address|account|mailbox|host|domain)[^.\n]{0,60}(?:over ?quota|invalid)
        (?:user|recipient|address|account|mailbox|host|domain)[^.\n]{0,60}(?:suspended|unrouteable)
        invalid (?:recipient|address|mailbox)
        not a valid (?:user|recipient|address|mailbox|account|e-?mail)
        has been postponed
        unrouteable
        returned (?:to (?:you|sender|the sender)|mail|message|below|unopened)
        permanent (?:fatal )?(?:error|failure)
        fatal error
        quota
        message (?:was|has been|is being) (?:rejected|returned|bounced|blocked|delayed)
        rejected
        bounced
        \b[45][0-7]\d[ -][45]\.\d{1,2}\.\d
        \bsmtp error
        (?:said|replied|response)[^\n]{0,30}[:=] ?[45]\d\d
        \b[45]\d\d[ -][^\n]{0,80}(?:user|recipient|mailbox|address|relay|reject|denied|spam|unknown|host)
        transcript of session
        still being retried
        not yet been delivered
        (?:loop|hop) count
        too many hops
        rel(?:aying|ay access) denied
        message (?:size )?(?:exceeds|too (?:large|big))
        nicht (?:zugestellt|zustell|erreicht)
        konnte nicht
        unbekannt
        n'a pas pu être
        n'existe pas
        impossible de
        no se (?:ha )?(?:pudo|podido)
        no (?:pudo|existe)
        non (?:è stato|recapit|esiste)
        não (?:foi|pôde|existe)
        nie (?:został|może|istnieje)
        не (?:может|удалось|было|существует|доставлен)
        无法
        不存在
        退回
        できません
        できなかった
        存在し
        見つかり
        不明
        送信でき
        届け
        không (?:thể )?(?:gửi|chuyển|phát|tìm thấy|tồn tại|được gửi)
        thất bại
        ran out of retries
        giving up
        expired
        timed? ?out
        dns error
        no mx
        original message (?:follows|header)
        below this line is a copy
        message header[^\n]{0,40}follow
        did not reach
        could not be processed
        (?:trouble|problem)s? deliver
        problem with the e-?mail address
        (?:配信|送信|配送)に?失敗
        返され
        sorry
        """
    )
)
DELAYED: Final = re.compile(
    one_of(
        r"""
        delayed
        \bdelay(?:ed)? (?:notif|in|mail)
        warning: (?:message|could not|mail)
        could not send message for past
        (?:will|continue to|keep) (?:be )?(?:(?:re-?)?tr(?:y|ied)|attempt(?! to contact))
        attempts will continue
        has been postponed
        still (?:being retried|trying)
        not yet been delivered
        has not been delivered yet
        this is a warning message only
        \(delay\)
        sẽ thử (?:gửi )?lại
        verzögert
        retardé
        demorad
        ritardat
        задержан
        bị (?:chậm|trì hoãn)
        gửi chậm
        投递延迟
        配信が遅延
        """
    )
)
