// SPDX-License-Identifier: Apache-2.0
// Pictures: from files to pixels, and what is drawn of pixels and of bytes.

const most_bytes = 64 << 20;
const most_side = 4096; // larger pictures are scaled down before the library resamples them

// Numbers of a PPM header; `at` is then behind the blank that ends it.
function read_header(bytes) {
    const numbers = [];
    let at = 2;
    while (numbers.length < 3) {
        const text = String.fromCharCode(...bytes.subarray(at, at + 1000));
        const found = /^(?:\s|#[^\n]*\n)*(\d{1,5})/.exec(text);
        if (!found) throw new Error("this is no picture that the page can read");
        numbers.push(Number(found[1]));
        at += found[0].length;
    }
    return { width: numbers[0], height: numbers[1], most: numbers[2], at: at + 1 };
}

// A binary PPM file, which browsers do not know.
function decode_ppm(bytes) {
    const { width, height, most, at } = read_header(bytes);
    if (!width || !height || most !== 255 || bytes.length < at + 3 * width * height) {
        throw new Error("the PPM file is truncated, or not of 8 bits");
    }
    const picture = new ImageData(width, height);
    for (let i = 0; i < width * height; i++) {
        for (let k = 0; k < 3; k++) picture.data[4 * i + k] = bytes[at + 3 * i + k];
        picture.data[4 * i + 3] = 255;
    }
    return picture;
}

// Whatever the browser knows; what is transparent becomes white.
async function decode_other(file) {
    let bitmap;
    try {
        bitmap = await createImageBitmap(file, { colorSpaceConversion: "none" });
    } catch {
        throw new Error("this is no picture that the page can read");
    }
    const scale = Math.min(1, most_side / Math.max(bitmap.width, bitmap.height));
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(scale * bitmap.width));
    canvas.height = Math.max(1, Math.round(scale * bitmap.height));
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.fillStyle = "white";
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    bitmap.close();
    return context.getImageData(0, 0, canvas.width, canvas.height);
}

// An ImageData of a file.
export async function read_picture(file) {
    if (file.size > most_bytes) throw new Error("the file is larger than 64 MiB");
    const start = new Uint8Array(await file.slice(0, 2).arrayBuffer());
    if (start[0] !== 0x50 || start[1] !== 0x36) return decode_other(file); // "P6"
    return decode_ppm(new Uint8Array(await file.arrayBuffer()));
}

export function draw_picture(canvas, picture) {
    canvas.width = picture.width;
    canvas.height = picture.height;
    canvas.getContext("2d").putImageData(picture, 0, 0);
}

// One grey point for each byte.
export function draw_bytes(canvas, bytes) {
    const picture = new ImageData(canvas.width, canvas.height);
    for (let i = 0; i < canvas.width * canvas.height; i++) {
        picture.data.fill(bytes[i % bytes.length], 4 * i, 4 * i + 3);
        picture.data[4 * i + 3] = 255;
    }
    canvas.getContext("2d").putImageData(picture, 0, 0);
}
