/* The page for who lost the tracking key: works out the proof of work it was asked for, then sends the form again. */
"use strict";

(async function () {
  const asked = document.querySelector("input[name=altcha][data-challenge]");
  if (!asked) return;
  const form = asked.form, told = document.getElementById("working"), button = form.querySelector("button");
  told.hidden = false;
  button.disabled = true;
  asked.value = await solve(JSON.parse(asked.dataset.challenge));
  button.disabled = false;
  form.submit();
})();
