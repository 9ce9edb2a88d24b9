"""Answers of Model Studio's native protocol, for a recorder to send."""

from __future__ import annotations

import json

ANSWER = {
    "output": {
        "choices": [
            {
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": [{"text": "一个人说：“好”。"}]},
            }
        ]
    },
    "usage": {
        "input_tokens": 160,
        "output_tokens": 399,
        "total_tokens": 559,
        "input_tokens_details": {"audio_tokens": 152, "text_tokens": 8},
        "output_tokens_details": {"text_tokens": 399},
    },
    "request_id": "r-1",
}


def native_event(
    text: str | None, *, finish: object = "null", output_tokens: int = 1, number: int = 1
) -> bytes:
    """Return one event of a stream; without text its content is empty."""
    document = {
        "output": {
            "choices": [
                {
                    "message": {
                        "content": [] if text is None else [{"text": text}],
                        "role": "assistant",
                    },
                    "finish_reason": finish,
                }
            ]
        },
        "usage": {"audio_tokens": 85, "input_tokens": 33, "output_tokens": output_tokens},
        "request_id": "r-1",
    }
    data = json.dumps(document, ensure_ascii=False)
    return f"id:{number}\nevent:result\n:HTTP_STATUS/200\ndata:{data}\n\n".encode()


# The sample of "Audio understanding (Qwen-Audio)": empty content in the middle and at the end.
NATIVE_EVENTS = (
    native_event("这段", output_tokens=1),
    native_event("音频", output_tokens=2),
    native_event(None, output_tokens=8),
    native_event("'", output_tokens=10),
    native_event(None, finish="stop", output_tokens=10),
)

# The sample answer of "Audio understanding (Qwen-Audio)".
SAMPLE_TEXT = "欢迎使用阿里云"
NATIVE_ANSWER = {
    "output": {
        "choices": [
            {
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": [{"text": SAMPLE_TEXT}]},
            }
        ]
    },
    "usage": {"audio_tokens": 85, "output_tokens": 10, "input_tokens": 33},
    "request_id": "r-1",
}


def upload_policy(url: str) -> dict[str, object]:
    """Return the permission to upload a file to a storage at `url`."""
    return {
        "policy": "UE9MSUNZ",
        "signature": "SIG=",
        "upload_dir": "dashscope-instant/acct0/2026-01-01/uuid0",
        "upload_host": f"{url}/oss",
        "expire_in_seconds": 300,
        "max_file_size_mb": 100,
        "capacity_limit_mb": 999999999,
        "oss_access_key_id": "AKID",
        "x_oss_object_acl": "private",
        "x_oss_forbid_overwrite": "true",
    }
