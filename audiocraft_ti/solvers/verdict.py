"""Whether a run is learning, in one plain sentence."""
import typing as tp

# Held-out losses that the concept's is compared with, in the order in which they are named.
REFERENCES = {'ce_start': 'before learning', 'ce_no_text': 'without text', 'ce_class_word': "with the word '{}'"}
MARGIN = 1e-3  # nats; less than that is no gain


def gap_closure(ce: float, ce_no_text: float, ce_class_word: float) -> tp.Optional[float]:
    """Which part of what a word gains over no text the concept gains: 1 is as good as the word, more is better.

    Args:
        ce (float): Held-out cross-entropy with the concept, in nats.
        ce_no_text (float): Without any text.
        ce_class_word (float): With the class word.
    Returns:
        float, optional: None where the word itself gains nothing.
    """
    gap = ce_no_text - ce_class_word
    return (ce_no_text - ce) / gap if gap > 0 else None


def verdict(placeholder: str, ce: float, metrics: tp.Mapping[str, float],
            class_word: tp.Optional[str] = None) -> str:
    """Compare the held-out loss with what it would be without the concept.

    Args:
        placeholder (str): The concept as written in prompts.
        ce (float): Held-out cross-entropy with the concept, in nats.
        metrics (dict[str, float]): Holds the same for the untrained vectors (`ce_start`), without any text
            (`ce_no_text`) and with the class word (`ce_class_word`), as far as they are known.
        class_word (str, optional): The class word.
    """
    others = [f'{metrics[key]:.3f} {name.format(class_word)}' for key, name in REFERENCES.items() if key in metrics]
    gap = f" Gap closure {metrics['gap_closure']:.2f}." if 'gap_closure' in metrics else ''
    return f"{_judge(placeholder, ce, metrics)}: held-out loss {ce:.3f} with {placeholder}, {', '.join(others)}.{gap}"


def _judge(placeholder: str, ce: float, metrics: tp.Mapping[str, float]) -> str:
    beaten = [key for key in REFERENCES if ce < metrics.get(key, float('inf')) - MARGIN]
    if 'ce_start' not in beaten:
        return (f"{placeholder} has gained nothing so far; if this goes on, change the learning rate first "
                "(optim.lr, five times up or down)")
    if 'ce_no_text' not in beaten:
        return f"{placeholder} is learning, but the model still does better without any text"
    if 'ce_class_word' not in beaten:
        return f"{placeholder} is learning, but the class word still does better"
    return f"{placeholder} is learning"
