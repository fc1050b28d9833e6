/* Proof of work: find the number whose SHA-256 with the salt is the challenge. Plain script, for crypto.subtle
   is missing without TLS and slower for many short texts. */
"use strict";

const solve = (function () {
  const K = [];
  (function () {
    for (let n = 2; K.length < 64; n++) {
      let prime = true;
      for (let k = 2; k * k <= n; k++) if (n % k === 0) { prime = false; break; }
      if (prime) K.push(((Math.cbrt(n) % 1) * 4294967296) | 0);
    }
  })();
  const W = new Int32Array(64), STATE = new Int32Array(8), START = [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19];

  /* SHA-256 of an ASCII text, as eight words in STATE. */
  function sha256(text) {
    const blocks = (text.length + 8 >> 6) + 1;
    STATE.set(START);
    for (let block = 0; block < blocks; block++) {
      for (let i = 0; i < 16; i++) {
        let word = 0;
        for (let j = 0; j < 4; j++) {
          const at = block * 64 + i * 4 + j;
          word = word << 8 | (at < text.length ? text.charCodeAt(at) : at === text.length ? 128 : 0);
        }
        W[i] = word;
      }
      if (block === blocks - 1) W[15] = text.length * 8;
      for (let i = 16; i < 64; i++) {
        const x = W[i - 15], y = W[i - 2];
        W[i] = W[i - 16] + W[i - 7] + ((x >>> 7 | x << 25) ^ (x >>> 18 | x << 14) ^ x >>> 3) + ((y >>> 17 | y << 15) ^ (y >>> 19 | y << 13) ^ y >>> 10);
      }
      let a = STATE[0], b = STATE[1], c = STATE[2], d = STATE[3], e = STATE[4], f = STATE[5], g = STATE[6], h = STATE[7];
      for (let i = 0; i < 64; i++) {
        const t = h + ((e >>> 6 | e << 26) ^ (e >>> 11 | e << 21) ^ (e >>> 25 | e << 7)) + (e & f ^ ~e & g) + K[i] + W[i] | 0;
        const u = ((a >>> 2 | a << 30) ^ (a >>> 13 | a << 19) ^ (a >>> 22 | a << 10)) + (a & b ^ a & c ^ b & c) | 0;
        h = g; g = f; f = e; e = d + t | 0; d = c; c = b; b = a; a = t + u | 0;
      }
      STATE[0] += a; STATE[1] += b; STATE[2] += c; STATE[3] += d; STATE[4] += e; STATE[5] += f; STATE[6] += g; STATE[7] += h;
    }
  }

  async function solve(challenge) {
    const wanted = [];
    for (let i = 0; i < 8; i++) wanted.push(parseInt(challenge.challenge.slice(i * 8, i * 8 + 8), 16) | 0);
    const most = challenge.maxNumber || challenge.maxnumber;
    for (let number = 0; number <= most; number++) {
      if (number % 2000 === 0) await new Promise((done) => setTimeout(done)); // the page stays alive
      sha256(challenge.salt + number);
      if (wanted.every((word, i) => STATE[i] === word)) return btoa(JSON.stringify({ algorithm: challenge.algorithm, challenge: challenge.challenge, number, salt: challenge.salt, signature: challenge.signature }));
    }
    return "";
  }

  return solve;
})();
