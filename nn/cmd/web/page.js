// SPDX-License-Identifier: Apache-2.0
// The page: what is chosen, pressed and shown.
import { open_keep } from "./keep.js";
import { Keys } from "./keys.js";
import { Library } from "./library.js";
import { draw_bytes, draw_picture, read_picture } from "./picture.js";
import { list_networks, Server } from "./server.js";

const at = (id) => document.getElementById(id);
const examples = [...document.querySelectorAll("[data-example]")];
const most_shown = 10; // classes

let library, keep;
let networks = [];
let keys; // of the network that is chosen
let picture; // an ImageData, and its name
let busy; // an AbortController, while something runs

// ---- what is said ----

// For everybody, and aloud where pages are read aloud.
function say(text, aloud_only = false) {
    at("status").textContent = text;
    at("status").classList.toggle("unseen", aloud_only);
}

function complain(text) {
    at("error").textContent = text;
    at("error").hidden = !text;
}

function megabytes(bytes) {
    return `${Math.round(bytes / 1e6)} MB`;
}

function seconds(count) {
    return count < 90 ? `${Math.ceil(count)} s` : `${Math.round(count / 60)} min`;
}

// A bar of the page; `share` undefined: it has not begun, null: nobody knows.
function show_step(id, share, text) {
    const bar = at(id);
    bar.closest(".step").hidden = share === undefined;
    if (share === undefined) return;
    if (share === null) bar.removeAttribute("value");
    else bar.value = share;
    at(`${id}-text`).textContent = text ?? `${Math.floor(100 * share)} %`;
}

function hide_steps() {
    for (const id of ["making", "uploading", "working"]) show_step(id);
}

function show_buttons() {
    at("classify").disabled = !picture || !keys || Boolean(busy);
    at("cancel").hidden = !busy;
    at("forget").disabled = Boolean(busy);
    at("network").disabled = Boolean(busy);
}

function state_of({ made, complete, total }) {
    if (complete) return `The server has the ${megabytes(total)} that it computes with.`;
    if (made) return "Not all of them are with the server yet: the next picture goes on with them.";
    return "They were not finished: the next picture makes new ones.";
}

async function show_keys() {
    const record = await keys.look();
    at("keys-none").hidden = Boolean(record);
    at("keys-some").hidden = !record;
    if (!record) return;
    at("keys-id").textContent = record.key;
    at("keys-state").textContent = state_of(record);
}

// ---- the picture ----

function press_example(chosen) {
    for (const button of examples) button.setAttribute("aria-pressed", String(button === chosen));
}

// Small pictures keep their pixels when they are shown larger.
function draw_small(canvas, pixels) {
    draw_picture(canvas, pixels);
    canvas.classList.toggle("small", Math.max(pixels.width, pixels.height) < 128);
}

function show_picture(pixels, name) {
    picture = { pixels, name };
    draw_small(at("picture"), pixels);
    at("picture").setAttribute("aria-label", name);
    at("picture-name").textContent = `${name}, ${pixels.width} × ${pixels.height}`;
    at("chosen").hidden = false;
    at("answer").hidden = true;
    complain("");
    show_buttons();
}

async function take_file(file, name, example) {
    try {
        show_picture(await read_picture(file), name);
        press_example(example);
    } catch (error) {
        complain(`${name}: ${error.message}`);
    }
}

async function load_example(button) {
    const name = button.dataset.example;
    const reply = await fetch(`${name}.ppm`);
    const file = await reply.blob();
    draw_picture(button.querySelector("canvas"), await read_picture(file));
    button.addEventListener("click", () => take_file(file, name, button));
    button.disabled = false;
}

function take_drops() {
    const area = at("drop");
    const mark = (on) => area.classList.toggle("over", on);
    // anywhere: a picture that misses the area is not to replace the page
    addEventListener("dragover", (event) => {
        event.preventDefault();
        mark(true);
    });
    addEventListener("dragleave", (event) => mark(event.relatedTarget !== null));
    addEventListener("drop", (event) => {
        event.preventDefault();
        mark(false);
        const [file] = event.dataTransfer.files;
        if (file) take_file(file, file.name);
    });
}

// ---- the answer ----

function row_of({ name, score }, share) {
    const row = document.createElement("tr");
    const head = document.createElement("th");
    const bar = document.createElement("td");
    const number = document.createElement("td");
    head.scope = "row";
    head.textContent = name;
    const filled = document.createElement("span");
    filled.style.width = `${100 * share}%`;
    bar.className = "bar";
    bar.append(filled);
    number.textContent = score.toFixed(2).replace("-", "−");
    row.append(head, bar, number);
    return row;
}

// Bars are as long as scores are above the lowest one.
function show_answer(scores, pixels, sent) {
    const sorted = [...scores].sort((a, b) => b.score - a.score);
    const [best, least] = [sorted[0], sorted[sorted.length - 1]];
    const room = best.score - least.score || 1;
    at("class").textContent = best.name;
    at("scores").replaceChildren(...sorted.slice(0, most_shown).map((s) => row_of(s, (s.score - least.score) / room)));
    at("more").hidden = sorted.length <= most_shown;
    at("more").textContent = `and ${sorted.length - most_shown} other classes`;
    draw_small(at("seen-here"), pixels);
    draw_bytes(at("seen-there"), sent.subarray(sent.length >> 1));
    at("sent").textContent = `${Math.round(sent.length / 1000)} kB`;
    at("answer").hidden = false;
    say(`It is: ${best.name}, with a score of ${best.score.toFixed(2)}.`, true);
}

function show_progress(event) {
    if (event.state === "waiting") {
        const place = event.place === 1 ? "1 picture" : `${event.place} pictures`;
        show_step("working", null, event.place ? `in the queue, ${place} in front` : "next in the queue");
    } else if (event.state === "running") {
        const layer = event.layer ? `layer ${event.layer} of ${event.layers}` : "begun";
        const left = event.remaining === undefined ? "" : `, ${seconds(event.remaining)} left`;
        show_step("working", event.done, layer + left);
    }
}

function show_preparation({ making, uploading }) {
    if (making !== undefined) show_step("making", making);
    if (uploading !== undefined) show_step("uploading", uploading);
}

// ---- what runs ----

// One thing at a time; `work` may be cancelled.
async function run(work) {
    busy = new AbortController();
    keys.server.signal = busy.signal;
    complain("");
    show_buttons();
    try {
        await work();
    } catch (error) {
        report(error);
    }
    busy = undefined;
    hide_steps();
    await show_keys();
    show_buttons();
}

function report(error) {
    if (error.name === "AbortError") {
        say("Cancelled.");
        return;
    }
    say("");
    if (error.code === 401) ask_token();
    else complain(error.message);
}

function ask_token() {
    at("token-row").hidden = false;
    complain("This server serves those who have a token. Please enter yours.");
    at("token").focus();
}

async function classify() {
    const { pixels } = picture;
    at("answer").hidden = true;
    keys.server.token = at("token").value;
    if (!(await keys.look())) say("Making keys, and uploading those for the server. You may choose another picture meanwhile.");
    await keys.prepare(show_preparation);
    await show_keys();
    hide_steps();
    say("The picture is encrypted; the server computes.");
    show_step("working", null, "on its way");
    const sent = await library.call("encrypt", pixels);
    const received = await keys.server.infer(sent, show_progress);
    show_answer(await library.call("decrypt", received), pixels, sent);
}

async function cancel() {
    busy?.abort(new DOMException("cancelled", "AbortError"));
    await library.restart();
}

async function forget() {
    const told = await keys.forget();
    at("answer").hidden = true;
    say(told ? "Your keys are forgotten, here and at the server." : "Your keys are forgotten here. The server could not be told.");
}

async function choose_network() {
    const { name, path } = networks[at("network").selectedIndex];
    keys = new Keys(name, keep, library, new Server(path));
    at("answer").hidden = true;
    await show_keys();
    show_buttons();
}

async function show_networks() {
    networks = await list_networks();
    at("network").replaceChildren(...networks.map(({ name }) => new Option(name)));
    at("network-row").hidden = networks.length < 2;
    await choose_network();
}

function listen() {
    at("file").addEventListener("change", ({ target }) => target.files[0] && take_file(target.files[0], target.files[0].name));
    at("classify").addEventListener("click", () => run(classify));
    at("cancel").addEventListener("click", cancel);
    at("forget").addEventListener("click", () => run(forget));
    at("network").addEventListener("change", choose_network);
    at("ask").addEventListener("submit", (event) => event.preventDefault());
    take_drops();
}

async function begin() {
    listen();
    const kept = await open_keep();
    ({ keep } = kept);
    at("keys-lost").hidden = kept.lasting;
    at("insecure").hidden = isSecureContext;
    library = await Library.open();
    await Promise.all([show_networks(), ...examples.map(load_example)]);
    document.documentElement.dataset.state = "ready";
}

begin().catch((error) => complain(`The page cannot begin: ${error.message}`));
