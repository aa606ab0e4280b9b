// The page without a reload: events, forms, clocks, meters. Everything works without it too, one request at a time.
"use strict";
(() => {
  const root = document.documentElement;
  root.dataset.js = "";
  const $ = (selector, from = document) => from.querySelector(selector);
  const $$ = (selector, from = document) => [...from.querySelectorAll(selector)];
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  let ahead = Number(root.dataset.now) - Date.now();
  const now = () => Date.now() + ahead;

  // Parsing: a whole document or one element.
  const element = (html) => {
    const box = document.createElement("template");
    box.innerHTML = html;
    return box.content.firstElementChild;
  };

  // Makes `old` what `fresh` is, touching only what differs: focus, selection, open menus and typed words stay.
  const kept = { DETAILS: ["open"], DIALOG: ["open"] };
  const sameKind = (one, other) => one.nodeType === other.nodeType && one.nodeName === other.nodeName
    && (one.nodeType !== 1 || (one.id || "") === (other.id || ""));
  const isTyped = (field) => field === document.activeElement
    || (field.type === "checkbox" ? field.checked !== field.defaultChecked
      : field.nodeName === "SELECT" ? [...field.options].some((option) => option.selected !== option.defaultSelected)
        : field.value !== field.defaultValue);
  function morph(old, fresh) {
    if (old.nodeType !== 1) {
      if (old.data !== fresh.data) old.data = fresh.data;
      return;
    }
    if (old.nodeName === "CANVAS" || old.isEqualNode(fresh)) return;
    // What is shown once stays until the page is left, or another one comes.
    if (old.dataset.once && !fresh.dataset.once) return;
    const field = /^(INPUT|TEXTAREA|SELECT)$/.test(old.nodeName);
    if (field && old.type !== "hidden" && isTyped(old)) return;
    const keep = kept[old.nodeName] || [];
    for (const { name } of [...old.attributes]) {
      if (!fresh.hasAttribute(name) && !keep.includes(name) && !name.startsWith("data-kept")) old.removeAttribute(name);
    }
    for (const { name, value } of [...fresh.attributes]) {
      if (old.getAttribute(name) !== value && !(keep.includes(name))) old.setAttribute(name, value);
    }
    if (field && old.nodeName !== "SELECT") {
      if (old.nodeName === "TEXTAREA") old.defaultValue = fresh.defaultValue;
      if (old.value !== fresh.value) old.value = fresh.value;
      return;
    }
    const byId = new Map([...old.children].filter((child) => child.id).map((child) => [child.id, child]));
    let at = old.firstChild;
    for (const next of [...fresh.childNodes]) {
      const known = next.id && byId.get(next.id);
      if (known && known !== at) old.insertBefore(known, at), at = known;
      if (at && sameKind(at, next)) {
        morph(at, next);
        at = at.nextSibling;
      } else {
        old.insertBefore(next, at);
      }
    }
    while (at) {
      const gone = at;
      at = at.nextSibling;
      gone.remove();
    }
  }
  function place({ id, html }) {
    const old = document.getElementById(id);
    const fresh = element(html);
    if (!old || !fresh) return;
    morph(old, fresh);
    dress();
  }

  // Words that rise and go.
  function toast(words, isBad) {
    if (!words) return;
    const note = document.createElement("p");
    note.className = "toast";
    note.textContent = words;
    if (isBad) note.setAttribute("role", "alert");
    $("#toasts").append(note);
    setTimeout(() => note.remove(), isBad ? 8000 : 4000);
  }
  const carried = sessionStorage.getItem("said");
  if (carried) sessionStorage.removeItem("said"), toast(carried);

  // The stream of events. Lost for a moment, it says so and the client's lamps stop claiming anything.
  const path = () => location.pathname + location.search;
  let stream, graceTimer, againTimer, isLost = false;
  // How many fragments the stream has brought. What was asked for before one and came after it may be older than it.
  let brought = 0;
  function open() {
    if (root.dataset.live === undefined || stream) return;
    stream = new EventSource("/events?page=" + encodeURIComponent(path()));
    stream.onopen = () => {
      clearTimeout(graceTimer);
      graceTimer = undefined;
      if (isLost) found();
    };
    stream.onerror = () => {
      close();
      graceTimer ??= setTimeout(lost, 1500);
      // A page that is answered without its events may be one whose session is over: then it goes to the door.
      againTimer = setTimeout(() => (isLost && refresh(), open()), isLost ? 2000 : 500);
    };
    stream.addEventListener("fragment", (event) => (brought++, place(JSON.parse(event.data))));
    stream.addEventListener("levels", (event) => heard(JSON.parse(event.data)));
    stream.addEventListener("gone", (event) => location.assign(JSON.parse(event.data).path));
    stream.addEventListener("append", (event) => append(JSON.parse(event.data)));
  }
  function close() {
    clearTimeout(againTimer);
    stream?.close();
    stream = undefined;
  }
  function lost() {
    isLost = true;
    root.dataset.live = "lost";
    $("#lost").hidden = false;
    for (const lamp of $$(".lamp[data-part=client]")) {
      lamp.className = "lamp orange";
      lamp.dataset.lamp = "orange";
      $("use", lamp).setAttribute("href", "#i-waiting");
      $(".word", lamp).textContent = root.dataset.lost;
    }
  }
  async function found() {
    isLost = false;
    root.dataset.live = "on";
    $("#lost").hidden = true;
    await refresh();
  }
  async function refresh(tries = 3) {
    const before = brought;
    const answer = await fetch(path(), { headers: { "X-Fragment": "1" } }).catch(() => undefined);
    if (!answer) return;
    if (answer.status === 401 || answer.redirected) return location.reload();
    show(await answer.text());
    if (brought !== before && tries > 1) await refresh(tries - 1);
  }
  function show(html) {
    const page = new DOMParser().parseFromString(html, "text/html");
    const main = $("#main", page);
    if (!main) return location.reload();
    ahead = Number(page.documentElement.dataset.now) - Date.now();
    document.title = page.title;
    morph($("#main"), document.adoptNode(main));
    dress();
  }
  function append({ id, html, most }) {
    const list = document.getElementById(id);
    if (!list) return;
    const atEnd = list.scrollTop + list.clientHeight >= list.scrollHeight - 24;
    list.insertAdjacentHTML("beforeend", html);
    while (list.children.length > (most || 1000)) list.firstElementChild.remove();
    if (atEnd) list.scrollTop = list.scrollHeight;
  }
  let hiddenTimer;
  document.addEventListener("visibilitychange", () => {
    clearTimeout(hiddenTimer);
    if (document.hidden) hiddenTimer = setTimeout(() => (close(), clearTimeout(graceTimer), graceTimer = undefined, hiddenTimer = 0), 60000);
    else if (hiddenTimer === 0) open(), refresh();
  });
  addEventListener("pagehide", close);
  addEventListener("pageshow", (event) => event.persisted && (open(), refresh()));

  // Forms: posted in the background, answered in place.
  const dialog = $("#confirm");
  let onYes;
  function ask(from, then) {
    const typed = $(".typed", dialog), input = $("input", typed), yes = $("button[value=yes]", dialog);
    $("h2", dialog).textContent = from.dataset.confirm;
    $(".more", dialog).textContent = from.dataset.more || "";
    yes.textContent = from.dataset.yes;
    typed.hidden = !from.dataset.type;
    $("label", typed).textContent = from.dataset.ask || "";
    input.value = "";
    yes.disabled = Boolean(from.dataset.type);
    input.oninput = () => (yes.disabled = input.value.trim() !== from.dataset.type);
    onYes = () => then(input.value.trim());
    dialog.showModal();
  }
  if (dialog) {
    $("form", dialog).addEventListener("submit", (event) => {
      event.preventDefault();
      event.stopPropagation();
      dialog.close();
      if (event.submitter?.value === "yes") onYes();
    });
    $("button[value=no]", dialog).addEventListener("click", () => dialog.close());
  }

  async function post(url, body, from) {
    const buttons = from ? $$("button", from) : [];
    buttons.forEach((button) => button.setAttribute("aria-busy", "true"));
    const before = brought;
    try {
      const answer = await fetch(url, {
        method: "POST", body: new URLSearchParams(body), headers: { "X-Fragment": "1", Accept: "application/json" },
      });
      if (answer.status === 401) return location.assign("/login?next=" + encodeURIComponent(path()));
      if (answer.status === 204) return saved(from);
      const isJson = (answer.headers.get("content-type") || "").includes("json");
      if (!isJson) {
        if (answer.redirected) return location.assign(answer.url);
        return show(await answer.text());
      }
      const told = await answer.json();
      for (const fragment of told.fragments || []) place(fragment);
      if (told.fragments && brought !== before) refresh();
      mark(from, told.fields);
      if (answer.ok && !told.go) saved(from);
      if (told.go) {
        if (told.said) sessionStorage.setItem("said", told.said);
        return told.go === path() ? location.reload() : location.assign(told.go);
      }
      // What stands beside its field need not rise as well.
      if (Object.values(told.fields || {}).includes(told.said)) return;
      toast(told.said || (answer.ok ? "" : told.error?.message || answer.statusText), !answer.ok);
    } catch {
      toast($("#lost p").textContent, true);
    } finally {
      buttons.forEach((button) => button.removeAttribute("aria-busy"));
    }
  }
  function saved(form) {
    settle(form);
    if (form?.matches(".settings, .texts")) refresh();
  }
  // What was saved is no longer "typed": the next fragment may change it.
  function settle(form) {
    if (!form?.isConnected) return;
    mark(form);
    for (const field of form.elements) {
      if (field.type === "password") field.value = field.defaultValue = "";
      else if (field.type === "checkbox") field.defaultChecked = field.checked;
      else if (field.nodeName === "SELECT") [...field.options].forEach((option) => (option.defaultSelected = option.selected));
      else if (field.type !== "hidden" && "defaultValue" in field) field.defaultValue = field.value;
    }
  }
  function mark(form, fields = {}) {
    if (!form) return;
    let first;
    for (const problem of $$("[data-problem]", form)) {
      const words = fields[problem.dataset.problem];
      const field = document.getElementById(problem.id.replace(/-problem$/, ""));
      problem.hidden = !words;
      problem.textContent = words || "";
      problem.closest(".field")?.classList.toggle("wrong", Boolean(words));
      if (words) {
        field?.setAttribute("aria-invalid", "true");
        problem.closest("details")?.setAttribute("open", "");
        first ??= field;
      } else {
        field?.removeAttribute("aria-invalid");
      }
    }
    first?.focus();
  }
  document.addEventListener("submit", (event) => {
    const form = event.target, button = event.submitter;
    // Not form.method: a field of that name would stand for it.
    if (form.getAttribute("method") !== "post" || form.dataset.plain !== undefined) return;
    event.preventDefault();
    const send = () => {
      form.closest(".menu")?.removeAttribute("open");
      post(form.getAttribute("action"), new FormData(form, button), form);
    };
    const asker = button?.dataset.confirm ? button : form.dataset.confirm ? form : undefined;
    if (asker) ask(asker, send);
    else send();
  });
  document.addEventListener("click", (event) => {
    for (const menu of $$("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
    const link = event.target.closest("a[data-act]");
    if (link) {
      event.preventDefault();
      link.closest(".menu")?.removeAttribute("open");
      ask(link, (words) => post(link.dataset.act, { csrf: root.dataset.csrf, back: path(), [link.dataset.name]: words }));
    }
    const copy = event.target.closest("[data-copy], [data-copy-from]");
    if (copy) write(copy);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const menu of $$("details.menu[open]")) {
      menu.open = false;
      $("summary", menu).focus();
    }
  });
  addEventListener("hashchange", unfold);
  function unfold() {
    const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    target?.closest?.("details")?.setAttribute("open", "");
    if (target && /^(INPUT|SELECT|TEXTAREA)$/.test(target.nodeName)) target.focus();
  }

  // The lines of a list as text.
  function shown(list) {
    return [...list.children].map((line) => [...line.children].map((part) => part.textContent).join(" ")).join("\n");
  }

  // Copying, also where the page comes over plain HTTP and the browser keeps its clipboard shut.
  async function write(button) {
    const words = button.dataset.copy ?? shown(document.getElementById(button.dataset.copyFrom));
    try {
      await navigator.clipboard.writeText(words);
    } catch {
      const box = document.createElement("textarea");
      box.value = words;
      box.className = "away";
      document.body.append(box);
      box.select();
      document.execCommand("copy");
      box.remove();
      button.focus();
    }
    toast(button.dataset.done);
  }

  // Clocks.
  const two = (number) => String(number).padStart(2, "0");
  function spell(ms) {
    const seconds = Math.max(0, Math.floor(ms / 1000)), hours = Math.floor(seconds / 3600);
    const rest = two(seconds % 60), minutes = Math.floor(seconds / 60) % 60;
    return hours ? `${hours}:${two(minutes)}:${rest}` : `${minutes}:${rest}`;
  }
  const put = (spot, words) => spot.textContent === words || (spot.textContent = words);
  function tick() {
    const at = now();
    for (const timer of $$("[data-since]")) put(timer, spell(at - timer.dataset.since));
    for (const left of $$("[data-until]")) {
      const ms = left.dataset.until - at;
      put(left, spell(ms + 999));
      if (ms <= 0 && left.closest("[data-from]")) left.remove();
    }
    for (const button of $$("button[data-from]")) button.disabled = button.dataset.from > at;
  }

  // Meters: what was heard lately, Telegram above the middle and the PBX below, painted by one hand.
  const heardOf = new Map();
  const KEPT = 40;
  function heard({ call, telegram, pbx }) {
    const list = heardOf.get(call) || [];
    const height = (level) => Math.max(0, 1 - level / 60);
    list.push({ at: performance.now(), up: height(telegram), down: height(pbx) });
    if (list.length > KEPT) list.shift();
    heardOf.set(call, list);
    painting ||= requestAnimationFrame(paint);
  }
  let painting = 0;
  function paint(time) {
    painting = 0;
    let moves = false;
    for (const canvas of $$("canvas.levels")) {
      const call = canvas.closest("[data-call]").dataset.call;
      const list = heardOf.get(call) || [];
      const scale = devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
      if (!width) continue;
      if (canvas.width !== Math.round(width * scale)) canvas.width = Math.round(width * scale), canvas.height = Math.round(height * scale);
      const pen = canvas.getContext("2d"), middle = height / 2;
      const color = getComputedStyle(canvas).color;
      pen.setTransform(scale, 0, 0, scale, 0, 0);
      pen.clearRect(0, 0, width, height);
      pen.fillStyle = color;
      const step = 4, wide = 2.5, count = Math.floor(width / step);
      const last = list[list.length - 1];
      const slid = calm.matches || !last ? 0 : Math.min(1, (time - last.at) / 100);
      for (let back = 0; back < count; back++) {
        const one = list[list.length - 1 - back];
        const x = width - (back + 1 + slid) * step + step;
        const up = one ? one.up : 0, down = one ? one.down : 0;
        pen.globalAlpha = one ? 1 - back / count * 0.7 : 0.25;
        pen.fillRect(x, middle - 1 - up * (middle - 2), wide, Math.max(1, up * (middle - 2)));
        pen.globalAlpha *= 0.6;
        pen.fillRect(x, middle + 1, wide, Math.max(1, down * (middle - 2)));
      }
      if (last && time - last.at < 2500) moves = true;
      else if (last && time - last.at > 4000) heardOf.delete(call);
    }
    if (moves && !calm.matches) painting = requestAnimationFrame(paint);
  }
  function watch() {
    if (document.hidden || !stream) return;
    const calls = $$("canvas.levels").map((canvas) => canvas.closest("[data-call]").dataset.call);
    for (const call of [...heardOf.keys()]) if (!calls.includes(call)) heardOf.delete(call);
    if (!calls.length) return;
    const body = new URLSearchParams({ csrf: root.dataset.csrf, back: path() });
    for (const call of new Set(calls)) body.append("call", call);
    fetch("/calls/watch", { method: "POST", body, headers: { "X-Fragment": "1" } }).catch(() => {});
  }

  // Texts, as Telegram would show them.
  function fill(text, words) {
    return text.trim().replace(/\{\{|\}\}|\{(\w+)\}/g, (all, name) => name === undefined ? all[0] : words[name] ?? all);
  }
  function preview(form) {
    const words = JSON.parse(form.dataset.words);
    for (const spot of $$("[data-fill]")) {
      const field = form.elements[spot.dataset.fill];
      if (field) spot.textContent = fill(field.value.trim() || field.dataset.default, words);
    }
  }
  document.addEventListener("input", (event) => {
    const form = event.target.closest("form[data-words]");
    if (form) preview(form);
  });

  // What fresh parts of the page need once.
  let watched = "";
  function dress() {
    tick();
    painting ||= requestAnimationFrame(paint);
    const calls = $$("canvas.levels").map((canvas) => canvas.closest("[data-call]").dataset.call).join();
    if (calls !== watched) watched = calls, watch();
  }
  $$(".log").forEach((list) => (list.scrollTop = list.scrollHeight));
  setInterval(tick, 250);
  setInterval(watch, 8000);
  open();
  unfold();
  dress();
})();
