/**
 * Text and bytes, by what every JavaScript has, browsers too. What always holds: what is no UTF-8 becomes U+FFFD and never an error; a mark at the
 * beginning of a text is part of it.
 */
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

export const utf8Bytes = (text: string): Uint8Array => encoder.encode(text);

export const utf8Text = (bytes: Uint8Array): string => decoder.decode(bytes);

/** How many bytes the text takes. */
export function utf8Length(text: string): number {
  for (let at = 0; at < text.length; at += 1) if (text.charCodeAt(at) > 0x7f) return encoder.encode(text).length;
  return text.length;
}
