// SPDX-License-Identifier: Apache-2.0
// The library in its worker (worker.js): each call is a promise.

// A file of the page; it must have the hash that index.html says.
async function fetch_checked(name) {
    const integrity = document.querySelector(`meta[name="${name}"]`).content;
    const reply = await fetch(name, { integrity, credentials: "omit" });
    if (!reply.ok) throw new Error(`${name}: the server answered ${reply.status}`);
    return reply;
}

export class Library {
    #worker;
    #waiting = new Map(); // of calls: {resolve, reject}
    #next = 0;
    #script;
    #module;
    key; // whose secret key the worker has
    // Called with pieces of evaluation keys, and with {done, total}, while keys are made.
    on_keys = () => {};
    on_count = () => {};

    // Workers know no integrity hashes, so the script is fetched and checked here.
    static async open() {
        const library = new Library();
        const [script, code] = await Promise.all([fetch_checked("worker.js"), fetch_checked("client.wasm")]);
        library.#script = new Blob([await script.text()], { type: "text/javascript" });
        library.#module = await WebAssembly.compile(await code.arrayBuffer());
        await library.restart();
        return library;
    }

    // Ends whatever runs, and forgets all keys.
    async restart() {
        this.#worker?.terminate();
        for (const { reject } of this.#waiting.values()) reject(new DOMException("cancelled", "AbortError"));
        this.#waiting.clear();
        this.key = undefined;
        const place = URL.createObjectURL(this.#script);
        this.#worker = new Worker(place, { type: "module" });
        this.#worker.onmessage = ({ data }) => this.#take(data);
        this.#worker.onerror = (event) => this.#fail(event.message ?? "the worker does not start");
        await this.call("start", this.#module);
        URL.revokeObjectURL(place);
    }

    call(name, ...args) {
        return new Promise((resolve, reject) => {
            this.#waiting.set(this.#next, { resolve, reject });
            this.#worker.postMessage({ id: this.#next++, name, args });
        });
    }

    #take(message) {
        if (message.keys) return this.on_keys(message.keys);
        if (message.total) return this.on_count(message);
        const { resolve, reject } = this.#waiting.get(message.id);
        this.#waiting.delete(message.id);
        return message.error === undefined ? resolve(message.value) : reject(new Error(message.error));
    }

    #fail(reason) {
        for (const { reject } of this.#waiting.values()) reject(new Error(reason));
        this.#waiting.clear();
    }
}
