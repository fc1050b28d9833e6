/* The citizen's pages: the report in three steps, photos made small, where I am, names of communes, the proof of work.
   Everything works without it as plain forms. Written for phones of 2019 and later. */
"use strict";

(function () {
  const get = (id) => document.getElementById(id);
  const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
  const clear = (node) => { while (node.firstChild) node.firstChild.remove(); };
  const later = (milliseconds, does) => { let timer = 0; return () => { clearTimeout(timer); timer = setTimeout(does, milliseconds); }; };
  const make = (tag, classes, text) => { const made = document.createElement(tag); if (classes) made.className = classes; if (text) made.textContent = text; return made; };

  const unhide = () => { for (const each of document.querySelectorAll("[data-script]")) each.hidden = false; };
  unhide();

  /* ---- the receipt: copy, share, print */

  function copy(text, done) {
    const told = () => say(done);
    if (navigator.clipboard) { navigator.clipboard.writeText(text).then(told, () => {}); return; }
    const line = make("textarea", "visually-hidden");
    line.value = text;
    document.body.append(line);
    line.select();
    if (document.execCommand("copy")) told();
    line.remove();
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy], [data-share], [data-print]");
    if (!button) return;
    const data = button.dataset;
    if ("print" in data) window.print();
    else if (data.copy) copy(data.copy, data.copied);
    else if (navigator.share) navigator.share({ title: data.title, url: data.share }).catch(() => {});
    else copy(data.share, data.copied);
  });

  /* ---- photos: chosen in several goes, shown, taken away, made small where that loses nothing wanted */

  const LONGEST = 1600, SMALL_ENOUGH = 600000;
  const turnsByItself = window.CSS && CSS.supports("image-orientation", "from-image"); // else a canvas would lay photos on their side

  function picture(url) {
    return new Promise((done, failed) => { const image = new Image(); image.onload = () => done(image); image.onerror = failed; image.src = url; });
  }

  async function shrink(file) {
    if (!turnsByItself || !/^image\/(jpeg|png|webp)$/.test(file.type)) return file;
    const url = URL.createObjectURL(file);
    try {
      const image = await picture(url);
      const scale = Math.min(1, LONGEST / Math.max(image.naturalWidth, image.naturalHeight));
      if (scale === 1 && file.size <= SMALL_ENOUGH) return file;
      const canvas = make("canvas");
      canvas.width = Math.max(1, Math.round(image.naturalWidth * scale));
      canvas.height = Math.max(1, Math.round(image.naturalHeight * scale));
      const drawing = canvas.getContext("2d");
      drawing.fillStyle = "#fff";
      drawing.fillRect(0, 0, canvas.width, canvas.height);
      drawing.drawImage(image, 0, 0, canvas.width, canvas.height);
      const made = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.85));
      if (!made || made.size >= file.size) return file;
      return new File([made], `${file.name.replace(/\.[^.]*$/, "")}.jpg`, { type: "image/jpeg" });
    } catch (_) {
      return file; // not a picture this browser can open: the server says what is wrong with it
    } finally {
      URL.revokeObjectURL(url);
    }
  }

  function size(bytes) {
    const shown = bytes >= 1048576 ? `${(bytes / 1048576).toFixed(1)} MB` : `${Math.max(1, Math.round(bytes / 1024))} kB`;
    return VI ? shown.replace(".", ",") : shown;
  }

  function photos(box) {
    try { new DataTransfer(); } catch (_) { return null; }
    const words = JSON.parse(box.dataset.words), most = Number(box.dataset.most), heaviest = Number(box.dataset.bytes);
    const input = box.querySelector("input[type=file]"), wrong = get(`${input.id}-wrong`), form = input.form;
    const asTaken = form.elements.use_photo_location;
    const kept = [], list = make("ul", "chosen"), total = make("div", "hint"), buttons = make("div", "row");
    total.setAttribute("role", "status");
    const wanted = (one) => (asTaken && asTaken.checked ? one.file : one.small || one.file);

    function add(files) {
      wrong.textContent = "";
      for (const file of files) {
        if (kept.length === most) { wrong.textContent = fill(words.many, { n: most }); break; }
        const one = { file };
        one.ready = shrink(file).then((small) => { one.small = small; show(); });
        kept.push(one);
      }
      show();
    }

    function show() {
      const sent = new DataTransfer();
      clear(list);
      let bytes = 0;
      for (const one of kept) {
        const file = wanted(one), line = make("li"), away = make("button", "btn square");
        sent.items.add(file);
        bytes += file.size;
        if (file.type.startsWith("image/")) {
          const shown = make("img");
          one.url = one.url || URL.createObjectURL(one.file);
          shown.src = one.url;
          shown.alt = "";
          line.append(shown);
        }
        line.append(make("span", "clip", file.name), make("span", "muted small nowrap", size(file.size)));
        away.type = "button";
        away.textContent = "×";
        away.setAttribute("aria-label", fill(words.remove, { name: file.name }));
        away.addEventListener("click", () => {
          kept.splice(kept.indexOf(one), 1);
          if (one.url) URL.revokeObjectURL(one.url);
          wrong.textContent = "";
          show();
          buttons.lastChild.focus();
        });
        line.append(away);
        list.append(line);
      }
      input.files = sent.files;
      list.hidden = !kept.length;
      const waiting = kept.some((one) => !one.small);
      total.textContent = !kept.length ? "" : waiting ? words.shrinking : fill(words.files, { n: kept.length, size: size(bytes) });
      if (!waiting && bytes > heaviest) wrong.textContent = words.heavy;
    }

    function opener(text, target) {
      const button = make("button", "btn", text);
      button.type = "button";
      button.setAttribute("aria-describedby", wrong.id);
      button.addEventListener("click", () => target.click());
      target.addEventListener("change", () => { const files = Array.from(target.files); target.value = ""; add(files); });
      buttons.append(button);
    }

    input.hidden = true;
    box.setAttribute("role", "group");
    box.setAttribute("aria-label", box.querySelector("label").textContent);
    if (window.matchMedia("(pointer: coarse)").matches) {
      const camera = make("input");
      camera.type = "file";
      camera.accept = "image/*";
      camera.setAttribute("capture", "environment");
      camera.hidden = true;
      box.append(camera);
      opener(words.camera, camera);
    }
    opener(words.choose, input);
    input.before(buttons, list, total);
    if (asTaken) asTaken.addEventListener("change", show);
    list.hidden = true;
    return { ready: () => Promise.all(kept.map((one) => one.ready)), waiting: () => kept.some((one) => !one.small) };
  }

  const pickers = new Map();
  for (const box of document.querySelectorAll("[data-photos]")) {
    const made = photos(box), form = box.closest("form");
    if (made) pickers.set(form, made);
  }

  /* ---- the forms of a report being followed: sent once, however often the button is pressed */

  const onward = Array.from(document.querySelectorAll("main form[method=post]:not(#report)"));
  const rest = (one, on) => { for (const button of one.querySelectorAll("button:not([type=button])")) button.setAttribute("aria-disabled", String(on)); };
  for (const one of onward) {
    let sent = false;
    one.addEventListener("submit", (event) => {
      if (sent) { event.preventDefault(); return; }
      sent = true;
      rest(one, true);
      const made = pickers.get(one);
      if (!made || !made.waiting()) return;
      event.preventDefault();
      made.ready().then(() => one.submit());
    });
    window.addEventListener("pageshow", (event) => { if (event.persisted) { sent = false; rest(one, false); } });
  }

  const form = get("report");
  if (!form) return;
  const words = JSON.parse(form.dataset.words);
  const field = (name) => form.elements[name];

  /* ---- what is wrong, at its field */

  function wrong(name, text) {
    const slot = get(`f-${name}-wrong`), control = get(`f-${name}`);
    if (slot) slot.textContent = text;
    if (control && text) control.setAttribute("aria-invalid", "true"); else if (control) control.removeAttribute("aria-invalid");
    return text ? name : "";
  }

  const checks = {
    text: () => { const n = field("text").value.trim().length; return !n ? words.empty : n > 10000 ? fill(words.long, { n }) : ""; },
    attachments: () => get("f-attachments-wrong").textContent,
    phone: () => { const given = field("phone").value.trim(); return !given || field("anonymous").checked || /^[+(]?[0-9][0-9 .()-]{6,}$/.test(given) ? "" : words.phone; },
    email: () => { const given = field("email").value.trim(); return !given || field("anonymous").checked || /^[^@\s]+@[^@\s.]+(\.[^@\s.]+)+$/.test(given) ? "" : words.email; },
  };
  for (const name of ["text", "phone", "email"]) field(name).addEventListener("input", () => { if (field(name).hasAttribute("aria-invalid")) wrong(name, checks[name]()); });

  /* ---- three steps; the phone's own back button goes one step back */

  const steps = Array.from(form.querySelectorAll("fieldset.step")), next = get("next"), back = get("back"), send = get("send");
  let step = 0, over = false;

  function show(n, focus) {
    step = n;
    steps.forEach((each, k) => { each.hidden = k !== n; });
    back.hidden = n === 0;
    next.hidden = n === steps.length - 1;
    send.hidden = n !== steps.length - 1;
    document.querySelector(".intro").hidden = n !== 0;
    if (!focus) return;
    window.scrollTo(0, 0);
    steps[n].querySelector("h2").focus({ preventScroll: true });
  }

  function faults(n) {
    return Object.keys(checks).filter((name) => steps[n].contains(get(`f-${name}-wrong`))).map((name) => wrong(name, checks[name]())).filter(Boolean);
  }

  function forward() {
    const found = faults(step);
    if (found.length) { const control = get(`f-${found[0]}`); if (control.hidden) steps[step].querySelector(".photos button").focus(); else control.focus(); return false; }
    clear(get("told"));
    if (step === steps.length - 1) return true;
    history.pushState({ step: step + 1 }, "");
    show(step + 1, true);
    return false;
  }

  function firstWrong() { return steps.findIndex((each) => Array.from(each.querySelectorAll(".wrong")).some((slot) => slot.textContent.trim())); }

  form.noValidate = true;
  form.classList.add("stepped");
  next.addEventListener("click", forward);
  back.addEventListener("click", () => { if (history.state && history.state.step === step) history.back(); else show(step - 1, true); });
  window.addEventListener("popstate", (event) => over || show(event.state && event.state.step ? Math.min(event.state.step, steps.length - 1) : 0, true));
  get("told").addEventListener("click", (event) => {
    const link = event.target.closest("a[href^='#f-']");
    if (!link) return;
    event.preventDefault();
    const slot = get(`${link.hash.slice(1)}-wrong`), control = get(link.hash.slice(1));
    show(steps.findIndex((each) => each.contains(slot)), false);
    if (!control.hidden) control.focus();
  });
  const anonymous = field("anonymous"), hideContact = () => { get("contact").hidden = anonymous.checked; };
  anonymous.addEventListener("change", hideContact);
  hideContact();
  history.replaceState({ step: 0 }, "");
  show(Math.max(0, firstWrong()), false);

  /* ---- sending: nothing typed or chosen is lost, whatever the answer */

  let busy = false;

  function doing(text) {
    busy = Boolean(text);
    send.setAttribute("aria-disabled", String(busy));
    send.querySelector("span").textContent = text || send.dataset.text;
  }
  send.dataset.text = send.querySelector("span").textContent;

  function tell(text) {
    const line = make("div", "alert bad", text);
    line.setAttribute("role", "alert");
    clear(get("told"));
    get("told").append(line);
    get("told").scrollIntoView({ block: "center" });
  }

  /* The form came back: take over what is wrong, and the key of a new report. */
  function takeOver(page) {
    const answer = page.getElementById("told");
    if (!answer) return false;
    clear(get("told"));
    for (const each of answer.childNodes) get("told").append(document.importNode(each, true));
    for (const name of ["text", "field", "attachments", "place", "address", "unit", "name", "phone", "email"]) wrong(name, page.getElementById(`f-${name}-wrong`).textContent);
    field("key").value = page.querySelector("input[name=key]").value;
    return true;
  }

  function receipt(page) {
    over = true;
    document.title = page.title;
    document.querySelector("main").replaceWith(document.importNode(page.querySelector("main"), true));
    unhide();
    const title = document.querySelector("main h1");
    title.tabIndex = -1;
    window.scrollTo(0, 0);
    title.focus({ preventScroll: true });
  }

  async function post(again) {
    const sent = new FormData(form);
    sent.append("script", "1"); // files chosen are still here when the form comes back
    const answer = await fetch(form.action, { method: "POST", body: sent, credentials: "same-origin" });
    if (answer.redirected) { window.location.assign(answer.url); return true; }
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (answer.ok) { receipt(page); return true; } // a browser without cookies: its receipt is the answer itself
    const asked = page.querySelector("input[name=altcha][data-challenge]");
    if (asked && !again) {
      doing(words.working);
      field("altcha").value = await solve(JSON.parse(asked.dataset.challenge));
      return post(true);
    }
    field("altcha").value = "";
    if (!takeOver(page)) tell(words.failed);
    else {
      const n = firstWrong();
      show(n < 0 ? step : n, false);
      window.scrollTo(0, 0);
      get("told").focus({ preventScroll: true });
    }
    return false;
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (busy) return;
    if (step < steps.length - 1) { forward(); return; }
    const bad = steps.findIndex((_, n) => faults(n).length);
    if (bad >= 0) { show(bad, true); return; }
    doing(words.sending);
    let left = false;
    try {
      const picker = pickers.get(form);
      if (picker) await picker.ready();
      left = await post(Boolean(field("altcha").value));
    } catch (_) {
      tell(navigator.onLine === false ? words.offline : words.failed);
    }
    if (!left) doing("");
  });
  window.addEventListener("pageshow", (event) => { if (event.persisted) doing(""); });

  /* ---- a field suggested from the text; where that cannot be had, the list is there */

  const suggested = get("suggested"), list = field("field");
  let asks = true, asked = "";

  function chips(box, items, chosen) {
    clear(box);
    for (const each of items) {
      const chip = make("button", "chip", each.text);
      chip.type = "button";
      chip.setAttribute("aria-pressed", "false");
      chip.addEventListener("click", () => { for (const other of box.children) other.setAttribute("aria-pressed", String(other === chip)); chosen(each); });
      box.append(chip);
    }
    box.hidden = !items.length;
  }

  const suggest = later(500, async () => {
    const text = field("text").value.trim();
    if (!asks || text.length < 8 || text === asked) return;
    asked = text;
    try {
      const answer = await fetch("/api/v1/fields/suggest", { method: "POST", body: JSON.stringify({ text: text.slice(0, 10000) }), headers: { "Content-Type": "application/json" } });
      if (!answer.ok) { asks = answer.status !== 404 && answer.status !== 405; return; }
      const items = (await answer.json()).items.slice(0, 3).filter((each) => list.querySelector(`option[value="${CSS.escape(each.code)}"]`));
      chips(suggested, items.map((each) => ({ code: each.code, text: each.name })), (each) => { list.value = each.code; });
      for (const [k, chip] of Array.from(suggested.children).entries()) if (items[k].code === list.value) chip.setAttribute("aria-pressed", "true");
    } catch (_) { asked = ""; }
  });
  field("text").addEventListener("input", suggest);
  list.addEventListener("change", () => { for (const chip of suggested.children) chip.setAttribute("aria-pressed", "false"); });
  if (field("text").value) suggest();

  /* ---- where I am */

  const lat = field("lat"), lng = field("lng"), unit = field("unit"), area = field("area");

  function choose(place) {
    unit.value = place.label;
    area.value = place.code;
    wrong("unit", "");
  }

  function located(text) { get("located").textContent = text; get("unlocate").hidden = !lat.value; }

  async function nearby() {
    try {
      const about = (value) => Number(value).toFixed(3); // some 100 m: enough for the unit, and addresses end up in logs
      const answer = await fetch(`/api/v1/areas?lat=${about(lat.value)}&lng=${about(lng.value)}`);
      const found = (await answer.json()).slice(0, 3);
      if (!found.length) located(words.outside); else located(`${get("located").textContent} ${words.near}`);
      chips(get("near"), found.map((each) => Object.assign({ text: each.label }, each)), choose);
    } catch (_) { /* the point itself is enough */ }
  }

  if (!navigator.geolocation) get("locate").hidden = true;
  get("locate").addEventListener("click", () => {
    located(words.locating);
    navigator.geolocation.getCurrentPosition((found) => {
      lat.value = found.coords.latitude.toFixed(6);
      lng.value = found.coords.longitude.toFixed(6);
      located(fill(words.located, { n: Math.round(found.coords.accuracy) }));
      nearby();
    }, (refused) => located(refused.code === 1 ? words.denied : words.nowhere), { enableHighAccuracy: true, timeout: 15000, maximumAge: 60000 });
  });
  get("unlocate").addEventListener("click", () => { lat.value = lng.value = ""; located(""); chips(get("near"), [], choose); get("locate").focus(); });
  if (lat.value) located(words.near);

  /* ---- names of communes, old and new: a combobox whose list only helps (ARIA APG, list autocomplete) */

  const options = get("units");
  let places = [], active = -1;
  unit.setAttribute("role", "combobox");
  unit.setAttribute("aria-autocomplete", "list");
  unit.setAttribute("aria-controls", "units");
  unit.setAttribute("aria-expanded", "false");

  function open(found) {
    places = found;
    active = -1;
    clear(options);
    found.forEach((place, k) => {
      const option = make("li");
      option.id = `unit-${k}`;
      option.setAttribute("role", "option");
      option.setAttribute("aria-selected", "false");
      option.append(make("span", "strong", place.label));
      const more = [place.within, place.now.length ? fill(words.now, { names: place.now.join(", ") }) : ""].filter(Boolean).join(" · ");
      if (more) option.append(make("span", "muted small", more));
      options.append(option);
    });
    options.hidden = !found.length;
    if (found.length) unit.scrollIntoView({ block: "start" }); // above the bar at the bottom and the phone's keyboard
    unit.setAttribute("aria-expanded", String(found.length > 0));
    unit.removeAttribute("aria-activedescendant");
  }

  function point(k) {
    active = (k + places.length) % places.length;
    Array.from(options.children).forEach((option, n) => option.setAttribute("aria-selected", String(n === active)));
    unit.setAttribute("aria-activedescendant", `unit-${active}`);
    options.children[active].scrollIntoView({ block: "nearest" });
  }

  const look = later(200, async () => {
    const q = unit.value.trim();
    if (q.length < 2) { open([]); get("units-told").textContent = ""; return; }
    try {
      const found = (await (await fetch(`/api/v1/areas?q=${encodeURIComponent(q.slice(0, 100))}`)).json()).slice(0, 8);
      if (q !== unit.value.trim() || document.activeElement !== unit) return;
      open(found);
      get("units-told").textContent = found.length ? fill(words.found, { n: found.length }) : words.none;
    } catch (_) { open([]); }
  });
  unit.addEventListener("input", () => { area.value = ""; look(); });
  unit.addEventListener("keydown", (event) => {
    if (options.hidden) { if (event.key === "ArrowDown") look(); return; }
    if (event.key === "ArrowDown") point(active + 1);
    else if (event.key === "ArrowUp") point(active < 0 ? places.length - 1 : active - 1);
    else if (event.key === "Enter" && active >= 0) { choose(places[active]); open([]); }
    else if (event.key === "Escape") open([]);
    else return;
    event.preventDefault();
  });
  unit.addEventListener("blur", () => open([]));
  options.addEventListener("mousedown", (event) => event.preventDefault()); // the input keeps the focus
  options.addEventListener("click", (event) => {
    const option = event.target.closest("[role=option]");
    if (!option) return;
    choose(places[Array.from(options.children).indexOf(option)]);
    open([]);
  });
})();
