/* Not deferred, alone of all: keys pressed while the page still comes are kept for console.js. */
"use strict";

const earlyKeys = [];
const keepKey = (event) => earlyKeys.push(event);
document.addEventListener("keydown", keepKey);
