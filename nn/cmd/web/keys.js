// SPDX-License-Identifier: Apache-2.0
// Keys for one network of a server: made, uploaded, kept, used again, forgotten.

const piece_bytes = 4 << 20;
const id_offset = 24; // of the key's id in the head of a file: fhola-formats(5)

function id_of(bytes) {
    const head = new DataView(bytes.buffer, bytes.byteOffset);
    return head.getBigUint64(id_offset, true).toString(16).padStart(16, "0");
}

// Pieces of evaluation keys that come one after the other, and go to whoever asks for bytes from some offset on.
class Pieces {
    #keep;
    #stored = []; // a promise for each piece that came
    #asking = () => {}; // to be called when there is news
    #failure;
    constructor(keep) {
        this.#keep = keep;
    }

    add(bytes) {
        this.key ??= id_of(bytes);
        this.#stored.push(this.#keep.put_piece(this.key, this.#stored.length, bytes));
        this.#asking();
    }

    // There will be no more.
    fail(error) {
        this.#failure = error;
        this.#asking();
    }

    async #until(number) {
        while (this.#stored.length <= number) {
            if (this.#failure) throw this.#failure;
            await new Promise((resolve) => (this.#asking = resolve));
        }
        await this.#stored[number];
    }

    // The id of the keys, as soon as it is known.
    async id() {
        await this.#until(0);
        return this.key;
    }

    async from(offset) {
        await this.#until(Math.floor(offset / piece_bytes));
        return kept_bytes(this.#keep, this.key, offset);
    }
}

async function kept_bytes(keep, key, offset) {
    const bytes = await keep.get_piece(key, Math.floor(offset / piece_bytes));
    if (!bytes) throw new Error("the browser has removed keys that were not uploaded yet; please forget them, and begin anew");
    return bytes.subarray(offset % piece_bytes);
}

// What is kept of them is a record: name (of the network), network and key (ids), secret (the secret key's file), bearer (what the
// server knows the client by), total (bytes of evaluation keys), made, complete (uploaded).
export class Keys {
    constructor(name, keep, library, server) {
        Object.assign(this, { name, keep, library, server });
    }

    async look() {
        return this.keep.get(this.name);
    }

    // Afterwards the library has the secret key, and the server the others. `tell` hears {making} and {uploading}, from 0 to 1.
    // Of several pages that want keys one makes them.
    async prepare(tell) {
        if (!navigator.locks) return this.#prepare(tell);
        return navigator.locks.request(`fhola/${this.name}`, { signal: this.server.signal }, () => this.#prepare(tell));
    }

    async #prepare(tell) {
        const record = await this.#usable();
        if (!record) return this.#make(tell);
        if (this.library.key !== record.key) await this.library.call("open_secret", record.secret);
        this.library.key = record.key;
        if (!record.complete) await this.#finish(record, tell, (offset) => kept_bytes(this.keep, record.key, offset));
        return record;
    }

    // The record, if its keys do: they were made completely, for this network, and the server has them or can still get them.
    async #usable() {
        const record = await this.look();
        if (!record) return undefined;
        this.server.secret = record.bearer;
        const same = record.made && record.network === (await this.server.network_id());
        if (same && (!record.complete || (await this.server.has_keys(record.key)))) return record;
        await this.forget();
        return undefined;
    }

    async #make(tell) {
        const { network, size } = await this.library.call("open_client", await this.server.client_file());
        const record = { name: this.name, network, total: size, made: false, complete: false };
        const pieces = new Pieces(this.keep);
        this.library.on_keys = (bytes) => pieces.add(bytes);
        this.library.on_count = ({ done, total }) => tell({ making: done / total });
        const outcomes = await Promise.allSettled([this.#take_secret(record, pieces), this.#take_pieces(record, pieces, tell)]);
        for (const { reason } of outcomes) {
            if (reason) throw reason; // what was made stays when the upload fails
        }
        return record;
    }

    async #take_secret(record, pieces) {
        try {
            const { key, secret } = await this.library.call("make_keys", piece_bytes);
            Object.assign(record, { key, secret, made: true });
            this.library.key = key;
            await this.keep.put(record);
        } catch (error) {
            pieces.fail(error);
            throw error;
        }
    }

    async #take_pieces(record, pieces, tell) {
        record.key = await pieces.id();
        await this.#finish(record, tell, (offset) => pieces.from(offset));
    }

    // Uploads what the server has not.
    async #finish(record, tell, bytes_from) {
        const { server } = this;
        await this.#introduce(record);
        await server.upload(record.key, record.total, bytes_from, (received) => tell({ uploading: received / record.total }));
        record.complete = true;
        await this.keep.put(record);
        await this.keep.remove_pieces(record.key);
    }

    // A new client gets its secret; so does one that the server has forgotten.
    async #introduce(record) {
        const { server } = this;
        try {
            await server.put_keys(record.key, "*", record.total);
        } catch (problem) {
            if (problem.code !== 404 || server.token || !server.secret) throw problem;
            server.secret = "";
            await server.put_keys(record.key, "*", record.total);
        }
        record.bearer = server.bearer;
        await this.keep.put(record);
    }

    // Here and at the server. False: the server could not be told.
    async forget() {
        const record = await this.look();
        await this.library.restart();
        if (!record) return true;
        this.server.secret = record.bearer;
        const told = !record.bearer || (await this.server.remove_keys(record.key).then(() => true, () => false));
        this.server.secret = "";
        await this.keep.remove(this.name);
        if (record.key) await this.keep.remove_pieces(record.key);
        return told;
    }
}
