// SPDX-License-Identifier: Apache-2.0
// The client half of the library (client.c), in a worker, so that the page stays usable while keys are made. The page sends
// {id, name, args}; the answer is {id, value} or {id, error}. While keys are made, pieces of them ({keys}) and how far it is
// ({done, total}) come in between. Nothing here reaches the network.

const decoder = new TextDecoder();

let library; // what client.c exports
let piece, piece_length; // of evaluation keys, not sent yet
let piece_bytes; // of each but the last

// ---- memory ----

function bytes_at(place, length) {
    return new Uint8Array(library.memory.buffer, place, length);
}

function text_at(place) {
    const bytes = new Uint8Array(library.memory.buffer, place);
    return decoder.decode(bytes.slice(0, bytes.indexOf(0)));
}

function check(status) {
    if (status !== 0) throw new Error(text_at(library.web_message()));
}

// Calls use(place) with the bytes in memory; they are wiped there afterwards.
function with_bytes(bytes, use) {
    const place = library.web_room(bytes.length);
    if (!place && bytes.length) throw new Error(`no memory for ${bytes.length} bytes`);
    try {
        bytes_at(place, bytes.length).set(bytes);
        return use(place);
    } finally {
        library.web_give_back(place, bytes.length);
    }
}

// A copy of what the last call wrote.
function take_result() {
    const bytes = bytes_at(library.web_result(), library.web_result_length()).slice();
    library.web_drop_result();
    return bytes;
}

// ---- what the module asks for ----

function send_piece() {
    if (piece_length) postMessage({ keys: piece.subarray(0, piece_length) }, [piece.buffer]);
    piece = new Uint8Array(piece_bytes);
    piece_length = 0;
}

function take_keys(place, length) {
    while (length > 0) {
        const count = Math.min(length, piece_bytes - piece_length);
        piece.set(bytes_at(place, count), piece_length);
        piece_length += count;
        place += count;
        length -= count;
        if (piece_length === piece_bytes) send_piece();
    }
}

function count_keys(done, total) {
    postMessage({ done, total });
}

function random_bytes(place, length) {
    crypto.getRandomValues(bytes_at(place, length)); // at most 256, as in getentropy(3)
    return 0;
}

function clock(id, precision, place) {
    new DataView(library.memory.buffer).setBigUint64(place, BigInt(Math.round(performance.now() * 1e6)), true);
    return 0;
}

function end(code) {
    throw new Error(`the module ended with ${code}`);
}

const offered = {
    "page.take_keys": take_keys,
    "page.count_keys": count_keys,
    "env.getentropy": random_bytes,
    "env.emscripten_notify_memory_growth": () => {},
    "wasi_snapshot_preview1.random_get": random_bytes,
    "wasi_snapshot_preview1.clock_time_get": clock,
    "wasi_snapshot_preview1.proc_exit": end,
};

// There are no files, processes or descriptors: whatever else the C library would ask a system for fails.
function missing() {
    return -52; // ENOSYS
}

function imports_of(module) {
    const imports = {};
    for (const { module: from, name } of WebAssembly.Module.imports(module)) {
        imports[from] ??= {};
        imports[from][name] = offered[`${from}.${name}`] ?? missing;
    }
    return imports;
}

// ---- what the page calls ----

const calls = {
    async start(module) {
        library = (await WebAssembly.instantiate(module, imports_of(module))).exports;
        library._initialize?.();
    },

    // From a client file.
    open_client(bytes) {
        with_bytes(bytes, (place) => check(library.web_open_client(place, bytes.length)));
        const size = library.web_keys_bytes();
        if (!size) throw new Error(text_at(library.web_message()));
        return { network: text_at(library.web_network()), size };
    },

    // From what make_keys gave.
    open_secret(bytes) {
        with_bytes(bytes, (place) => check(library.web_open_secret(place, bytes.length)));
        return { network: text_at(library.web_network()), key: text_at(library.web_key()) };
    },

    // The secret key, after the pieces of the evaluation keys, all of the given size but the last.
    make_keys(bytes_of_a_piece) {
        piece_bytes = bytes_of_a_piece;
        piece_length = 0;
        send_piece();
        check(library.web_make_keys());
        send_piece();
        piece = null;
        return { key: text_at(library.web_key()), secret: take_result() };
    },

    // An ImageData.
    encrypt({ data, width, height }) {
        const pixels = new Uint8Array(3 * width * height);
        for (let i = 0; i < width * height; i++) {
            for (let k = 0; k < 3; k++) pixels[3 * i + k] = data[4 * i + k];
        }
        with_bytes(pixels, (place) => check(library.web_encrypt(place, width, height)));
        pixels.fill(0);
        return take_result();
    },

    // What the server sent, as a list of {name, score}.
    decrypt(bytes) {
        with_bytes(bytes, (place) => check(library.web_decrypt(place, bytes.length)));
        const count = library.web_classes();
        const scores = new Float64Array(library.memory.buffer, library.web_scores(), count);
        return Array.from(scores, (score, i) => ({ name: text_at(library.web_class(i)), score }));
    },

    // Wipes the keys.
    close() {
        library.web_close();
    },
};

onmessage = async ({ data: { id, name, args } }) => {
    try {
        postMessage({ id, value: await calls[name](...args) });
    } catch (error) {
        postMessage({ id, error: error.message });
    }
};
