// SPDX-License-Identifier: Apache-2.0
// The server's side of things, over HTTP: fhola-serve(1).

const patience = 10; // attempts at an upload without any progress
const longest_wait = 30; // seconds between two of them

export class Problem extends Error {
    // Of a reply that is none of success; `code` 0: there was no reply.
    constructor(code, message, after = 0) {
        super(message);
        this.code = code;
        this.after = after; // seconds after which to try again, 0: not said
    }
}

function wait(seconds, signal) {
    return new Promise((resolve, reject) => {
        const abort = () => reject(signal.reason);
        if (signal?.aborted) return abort();
        signal?.addEventListener("abort", abort, { once: true });
        return setTimeout(resolve, 1000 * seconds);
    });
}

// Hexadecimal digits of so many random bytes.
export function random_name(bytes) {
    const random = crypto.getRandomValues(new Uint8Array(bytes));
    return Array.from(random, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function problem_of(reply) {
    const after = Number(reply.headers.get("Retry-After")) || 0;
    try {
        const document = await reply.json();
        return new Problem(reply.status, document.detail ?? document.title, after);
    } catch {
        return new Problem(reply.status, `the server answered ${reply.status}`, after);
    }
}

async function ask(path, options) {
    let reply;
    try {
        reply = await fetch(path, { cache: "no-store", credentials: "omit", redirect: "error", ...options });
    } catch (error) {
        if (error.name === "AbortError") throw error;
        throw new Problem(0, "the server cannot be reached");
    }
    if (!reply.ok) throw await problem_of(reply);
    return reply;
}

// What the server offers: a list of {name, path}. One that says nothing of several networks has one.
export async function list_networks() {
    try {
        return (await (await ask("v1/networks")).json()).networks;
    } catch (problem) {
        if (problem.code !== 404) throw problem;
        return [{ name: "", path: "v1" }];
    }
}

// One network of a server.
export class Server {
    token = ""; // of the user
    secret = ""; // that the server gave, where it wants no tokens
    signal; // an AbortSignal, which ends whatever waits for the server

    constructor(path) {
        this.path = path.replace(/^\/|\/$/g, "");
    }

    get bearer() {
        return this.token || this.secret;
    }

    #ask(path, options = {}) {
        return ask(path, { signal: this.signal, ...options });
    }

    headers(more = {}) {
        return this.bearer ? { Authorization: `Bearer ${this.bearer}`, ...more } : more;
    }

    // The id of the network, without its client file.
    async network_id() {
        const reply = await this.#ask(`${this.path}/network`, { method: "HEAD" });
        return /[0-9a-f]{16}/.exec(reply.headers.get("ETag") ?? "")?.[0];
    }

    async client_file() {
        return new Uint8Array(await (await this.#ask(`${this.path}/network`)).arrayBuffer());
    }

    // Whether the keys are there, complete.
    async has_keys(key) {
        try {
            return (await this.#ask(`v1/keys/${key}`, { headers: this.headers() })).status === 200;
        } catch (problem) {
            if (problem.code === 404) return false;
            throw problem;
        }
    }

    async remove_keys(key) {
        try {
            await this.#ask(`v1/keys/${key}`, { method: "DELETE", headers: this.headers() });
        } catch (problem) {
            if (problem.code !== 404) throw problem;
        }
    }

    // Sends bytes of keys, or none ("*"): what the server has then. A new client gets its secret.
    async put_keys(key, range, total, body) {
        const headers = this.headers({ "Content-Range": `bytes ${range}/${total}` });
        const reply = await this.#ask(`v1/keys/${key}`, { method: "PUT", headers, body });
        const state = await reply.json();
        if (state.secret) this.secret = state.secret;
        return state;
    }

    // Sends what the server has not. `bytes_from(offset)` promises the bytes from there on, as many as go well together;
    // `tell(received)` hears how far it is. Goes on where it was when a connection breaks.
    async upload(key, total, bytes_from, tell) {
        let { received, complete } = await this.put_keys(key, "*", total);
        for (let failures = 0; !complete; ) {
            tell(received);
            const bytes = received < total ? await bytes_from(received) : undefined;
            const range = bytes ? `${received}-${received + bytes.length - 1}` : "*";
            try {
                ({ received, complete } = await this.put_keys(key, range, total, bytes));
                failures = 0;
            } catch (problem) {
                if (!may_pass(problem) || ++failures === patience) throw problem;
                await wait(problem.after || Math.min(2 ** (failures - 1), longest_wait), this.signal);
                ({ received, complete } = await this.ask_offset(key, total, { received, complete }));
            }
        }
        tell(total);
    }

    async ask_offset(key, total, before) {
        try {
            return await this.put_keys(key, "*", total);
        } catch (problem) {
            if (!may_pass(problem)) throw problem;
            return before;
        }
    }

    // The encrypted result of an encrypted picture. `tell` hears what GET /v1/progress says.
    async infer(picture, tell) {
        const request = random_name(16);
        const ended = new AbortController();
        this.follow(request, tell, ended.signal);
        try {
            const headers = this.headers({ "Request-Id": request, "Content-Type": "application/octet-stream" });
            const reply = await this.#ask(`${this.path}/infer`, { method: "POST", headers, body: picture });
            return new Uint8Array(await reply.arrayBuffer());
        } finally {
            ended.abort();
        }
    }

    // Server-sent events by fetch, since EventSource sends no Authorization. What fails here is no loss.
    async follow(request, tell, signal) {
        while (!signal.aborted) {
            try {
                await wait(0.5, signal); // there is nothing to hear before the picture has arrived
                const reply = await this.#ask(`v1/progress/${request}`, { headers: this.headers(), signal });
                await read_events(reply.body.pipeThrough(new TextDecoderStream()).getReader(), tell);
            } catch {
                continue;
            }
        }
    }
}

function may_pass(problem) {
    return problem instanceof Problem && [0, 408, 409, 429, 500, 502, 503, 504].includes(problem.code);
}

async function read_events(reader, tell) {
    let text = "";
    for (;;) {
        const { value, done } = await reader.read();
        if (done) return;
        text += value;
        const events = text.split("\n\n");
        text = events.pop();
        for (const event of events) {
            if (event.startsWith("data: ")) tell(JSON.parse(event.slice(6)));
        }
    }
}
