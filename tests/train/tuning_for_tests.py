"""Conversations, preferences and settings for trainings of seconds."""

from lingraft.ask.message import Message
from lingraft.conversations.record import Conversation, Preference
from lingraft.train.settings import DpoSettings, SftSettings

SFT = SftSettings(
    sequence_tokens=128,
    micro_batch_sequences=2,
    lr=5e-3,
    schedule="linear",
    warmup_share=0.1,
    weight_decay=0.0,
    max_grad_norm=1.0,
    precision="fp32",
    checkpoint_minutes=10,
    seed=3,
    mix={"target": 0.5, "replay": 0.5},
    batch_tokens=512,
    epochs=4,
    curve_points=3,
    system="refuse",
)
DPO = DpoSettings(
    sequence_tokens=128,
    micro_batch_sequences=None,
    lr=2e-3,
    schedule="linear",
    warmup_share=0.1,
    weight_decay=0.0,
    max_grad_norm=1.0,
    precision="fp32",
    checkpoint_minutes=10,
    seed=3,
    mix={"target": 0.75, "replay": 0.25},
    batch_pairs=4,
    epochs=3,
    curve_points=3,
    system="refuse",
    loss="dpo",
    beta=0.1,
)


def conversations(sentences: list[str], count: int) -> list[Conversation]:
    """Questions and answers of unlike lengths, some with a second turn."""
    return [
        Conversation(
            str(number),
            (
                Message("user", sentences[number % 8][: 10 + number]),
                Message("assistant", sentences[(number + 3) % 8][: 8 + 2 * number]),
                *([Message("user", "A potem?"), Message("assistant", "Nic.")] if number % 3 == 0 else []),
            ),
        )
        for number in range(count)
    ]


def preferences(sentences: list[str], count: int) -> list[Preference]:
    """Chosen answers are sentences, rejected ones the same letters backwards, now shorter and now longer."""
    return [
        Preference(
            str(number),
            (Message("user", f"{number}. {sentences[number % 8][:20]}?"),),
            sentences[(number + 3) % 8][: 20 + number],
            sentences[(number + 3) % 8][: 20 + (2 * number if number % 2 else number // 2)][::-1],
        )
        for number in range(count)
    ]
