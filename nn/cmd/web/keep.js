// SPDX-License-Identifier: Apache-2.0
// What is kept for next time, in IndexedDB: of each network the secret key and what the server gave for the evaluation keys; and
// pieces of evaluation keys until the server has them. Where a browser keeps nothing, memory does, as long as the page is open.

const kept = "keys";
const pieces = "pieces";

function promised(request) {
    return new Promise((resolve, reject) => {
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error);
    });
}

function open_database() {
    const request = indexedDB.open("fhola", 1);
    request.onupgradeneeded = () => {
        request.result.createObjectStore(kept, { keyPath: "name" });
        request.result.createObjectStore(pieces); // [key, number]
    };
    return promised(request);
}

class Database {
    constructor(database) {
        this.database = database;
    }

    // Resolves when what `use` asked for is done, and on the disk if it was to change something.
    run(store, mode, use) {
        return new Promise((resolve, reject) => {
            const transaction = this.database.transaction(store, mode, { durability: "strict" });
            const request = use(transaction.objectStore(store));
            transaction.oncomplete = () => resolve(request.result);
            transaction.onabort = () => reject(transaction.error);
        });
    }

    get(name) {
        return this.run(kept, "readonly", (store) => store.get(name));
    }

    put(record) {
        return this.run(kept, "readwrite", (store) => store.put(record));
    }

    remove(name) {
        return this.run(kept, "readwrite", (store) => store.delete(name));
    }

    put_piece(key, number, bytes) {
        return this.run(pieces, "readwrite", (store) => store.put(bytes, [key, number]));
    }

    get_piece(key, number) {
        return this.run(pieces, "readonly", (store) => store.get([key, number]));
    }

    remove_pieces(key) {
        return this.run(pieces, "readwrite", (store) => store.delete(IDBKeyRange.bound([key, 0], [key, Infinity])));
    }
}

class Memory {
    #kept = new Map();
    #pieces = new Map();

    async get(name) {
        return this.#kept.get(name);
    }

    async put(record) {
        this.#kept.set(record.name, record);
    }

    async remove(name) {
        this.#kept.delete(name);
    }

    async put_piece(key, number, bytes) {
        this.#pieces.set(`${key}/${number}`, bytes);
    }

    async get_piece(key, number) {
        return this.#pieces.get(`${key}/${number}`);
    }

    async remove_pieces() {
        this.#pieces.clear();
    }
}

// {keep, lasting}: whether it outlives the page.
export async function open_keep() {
    try {
        return { keep: new Database(await open_database()), lasting: true };
    } catch {
        return { keep: new Memory(), lasting: false };
    }
}
